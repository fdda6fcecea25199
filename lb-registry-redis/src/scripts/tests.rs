//! The scripts, on a real server.

use std::sync::Arc;
use std::time::Duration;

use lb_core::Limits;
use lb_core::SeededRandom;
use lb_core::limit::{LeaseRequest, SharedLimits, Terms};
use lb_core::registry::Revision;
use lb_testkit::redis::RedisServer;
use redis::Value;

use super::*;
use crate::connection::{Address, Dial, Link, Timeouts};
use crate::keys::{Namespace, ServiceKeys};
use crate::limits::RedisLimits;

struct Bench {
    redis: RedisServer,
    link: Link,
    keys: ServiceKeys,
}

const MINE: &str = "00000000000000aa";
const OTHER: &str = "00000000000000bb";

impl Bench {
    async fn start() -> Self {
        let redis = RedisServer::start().await.unwrap();
        let address = Address::parse(&redis.url()).unwrap();
        let dial = Dial { user: None, password: None, database: 0, tls: None, timeouts: Timeouts::default() };
        let link = Link::start(address.topology, dial, (None, None), Arc::new(SeededRandom::new(1)));
        Self { redis, link, keys: Namespace::new("test").service("cart") }
    }

    fn call(&self, script: &'static Lua) -> Call {
        Call::new(script, self.keys.for_scripts()).arg(self.keys.channel()).arg("epoch-1")
    }

    async fn run(&self, call: Call) -> Value {
        self.link.call(&call).await.unwrap()
    }

    async fn register(&self, id: &str, owner: &str, ttl: u64, mode: &str) -> (Answer, Revision) {
        let call = self.call(&REGISTER).arg(id).arg(format!("{owner}.1 {{\"id\":\"{id}\"}}")).number(ttl);
        pair(&self.run(call.arg(owner).arg(mode)).await).unwrap()
    }

    async fn beat(&self, ttl: u64, pairs: &[(&str, &str)]) -> Vec<Answer> {
        let mut call = self.call(&BEAT).number(ttl).number(64).number(60_000);
        for (id, owner) in pairs {
            call = call.arg(*id).arg(*owner);
        }
        beat_statuses(&self.run(call).await).unwrap()
    }

    async fn deregister(&self, id: &str, owner: &str) -> Answer {
        single(&self.run(self.call(&DEREGISTER).arg(id).arg(owner).number(60_000).number(0)).await).unwrap()
    }

    async fn over(&self, id: &str, over: &str) -> Answer {
        single(&self.run(self.call(&OVERRIDE).arg(id).arg(over)).await).unwrap()
    }

    async fn config(&self, expected: &str, config: &str) -> (Answer, Revision) {
        pair(&self.run(self.call(&CONFIG).arg(expected).arg(config)).await).unwrap()
    }

    async fn text(&self, command: &[&str]) -> String {
        self.redis.cli(command).await.unwrap()
    }

    async fn expire(&self, id: &str) {
        self.text(&["ZADD", &self.keys.expiries(), "1", id]).await;
    }

    async fn is_there(&self, id: &str) -> bool {
        self.text(&["HEXISTS", &self.keys.instances(), id]).await == "1"
    }
}

#[tokio::test]
async fn writes_are_guarded_by_owner() {
    let bench = Bench::start().await;
    assert_eq!(bench.register("a", MINE, 5000, "own").await.0, Answer::Absent);
    let (done, first) = bench.register("a", MINE, 5000, "any").await;
    assert_eq!(done, Answer::Done);
    let (_, second) = bench.register("a", MINE, 5000, "own").await;
    assert!(second > first);
    assert_eq!(bench.register("a", MINE, 5000, "restore").await, (Answer::Done, second), "nothing was lost");
    assert_eq!(bench.register("a", OTHER, 5000, "own").await.0, Answer::TakenOver);
    assert_eq!(bench.deregister("a", OTHER).await, Answer::TakenOver);
    assert_eq!(bench.register("a", OTHER, 0, "any").await.0, Answer::Done);
    assert_eq!(bench.beat(5000, &[("a", MINE), ("b", MINE)]).await, [Answer::TakenOver, Answer::Absent]);
    assert_eq!(bench.register("a", MINE, 5000, "restore").await.0, Answer::TakenOver);
    assert_eq!(
        bench.text(&["ZCARD", &bench.keys.expiries()]).await,
        "0",
        "a registered instance does not expire"
    );
    assert_eq!(bench.deregister("a", "").await, Answer::Done);
    assert_eq!(bench.deregister("a", "").await, Answer::Absent);
    assert_eq!(bench.beat(5000, &[("a", OTHER)]).await, [Answer::Removed], "who was deregistered is told");
    assert_eq!(bench.register("a", OTHER, 5000, "restore").await.0, Answer::Removed);
    assert_eq!(bench.register("a", OTHER, 5000, "any").await.0, Answer::Done, "on purpose it may come back");
}

#[tokio::test]
async fn versions_grow_even_across_a_loss() {
    let bench = Bench::start().await;
    let (_, before) = bench.register("a", MINE, 0, "any").await;
    bench.text(&["FLUSHALL"]).await;
    let (_, after) = bench.register("a", MINE, 0, "any").await;
    assert!(after > before, "{before} {after}");
    bench.text(&["SET", &bench.keys.version(), "9007199254740000"]).await;
    assert_eq!(
        bench.register("a", MINE, 0, "any").await.1.get(),
        9_007_199_254_740_001,
        "whatever the clock says"
    );
}

#[tokio::test]
async fn who_beats_reaps_but_not_after_a_silence() {
    let bench = Bench::start().await;
    for id in ["a", "b"] {
        bench.register(id, MINE, 60_000, "any").await;
    }
    bench.over("b", r#"{"draining":true}"#).await;
    bench.expire("b").await;
    assert_eq!(bench.beat(60_000, &[("a", MINE)]).await, [Answer::Done]);
    assert!(bench.is_there("b").await, "nobody was heard before: everybody gets a time-to-live");
    // As if the grace were over, with beats all the while.
    let now = bench.text(&["TIME"]).await;
    let ms: u64 = now.lines().next().unwrap().parse::<u64>().unwrap() * 1000;
    bench.text(&["SET", &bench.keys.beats(), &format!("{ms} 1")]).await;
    bench.beat(60_000, &[("a", MINE)]).await;
    assert!(!bench.is_there("b").await);
    assert!(bench.is_there("a").await);
    assert_eq!(bench.beat(60_000, &[("b", MINE)]).await, [Answer::Absent]);
    bench.register("b", MINE, 60_000, "restore").await;
    let over = bench.text(&["HGET", &bench.keys.overrides(), "b"]).await;
    assert_eq!(over, r#"{"draining":true}"#, "what an operator laid over it outlives an expiry");
}

#[tokio::test]
async fn the_long_dead_are_swept_with_what_lay_over_them() {
    let bench = Bench::start().await;
    bench.register("a", MINE, 60_000, "any").await;
    bench.register("b", MINE, 0, "any").await;
    bench.over("a", r#"{"weight":2}"#).await;
    bench.expire("a").await;
    let swept = bench.run(bench.call(&SWEEP).number(600_000).number(64)).await;
    assert_eq!(swept, Value::Int(1));
    assert!(!bench.is_there("a").await && bench.is_there("b").await);
    assert_eq!(bench.text(&["EXISTS", &bench.keys.overrides()]).await, "0");
}

#[tokio::test]
async fn configurations_are_compared_and_set() {
    let bench = Bench::start().await;
    assert_eq!(bench.config("", "").await.0, Answer::Absent);
    assert_eq!(bench.config("1", "{}").await, (Answer::Conflict, Revision::NONE));
    assert_eq!(bench.text(&["DBSIZE"]).await, "0", "what is refused leaves nothing");
    let (_, first) = bench.config("0", "{}").await;
    assert_eq!(bench.config("0", "{}").await, (Answer::Conflict, first));
    let (done, second) = bench.config(&first.to_string(), r#"{"max_retries":3}"#).await;
    assert!(done == Answer::Done && second > first);
    let stored = bench.text(&["GET", &bench.keys.config()]).await;
    assert_eq!(stored, format!(r#"{second} {{"max_retries":3}}"#));
    assert_eq!(bench.config("", "").await.0, Answer::Done);
}

#[tokio::test]
async fn an_override_needs_an_instance_and_goes_with_it() {
    let bench = Bench::start().await;
    assert_eq!(bench.over("a", "{}").await, Answer::Absent);
    bench.register("a", MINE, 0, "any").await;
    assert_eq!(bench.over("a", r#"{"weight":2}"#).await, Answer::Done);
    let version = bench.text(&["GET", &bench.keys.version()]).await;
    assert_eq!(bench.over("a", r#"{"weight":2}"#).await, Answer::Done);
    assert_eq!(bench.text(&["GET", &bench.keys.version()]).await, version, "the same again is no change");
    bench.deregister("a", "").await;
    assert_eq!(bench.text(&["EXISTS", &bench.keys.overrides()]).await, "0");
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_learns_them_again() {
    let bench = Bench::start().await;
    bench.register("a", MINE, 0, "any").await;
    bench.text(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(bench.register("b", MINE, 0, "any").await.0, Answer::Done);
    let sent_in_full = bench.redis.info("commandstats", "cmdstat_eval").await.unwrap();
    assert!(sent_in_full.starts_with("calls=2,"), "{sent_in_full}");
}

#[tokio::test]
async fn without_memory_a_write_is_refused_as_a_whole_and_a_beat_is_not() {
    let bench = Bench::start().await;
    bench.register("a", MINE, 60_000, "any").await;
    let expiry = bench.text(&["ZSCORE", &bench.keys.expiries(), "a"]).await;
    bench.text(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let call = bench.call(&REGISTER).arg("b").arg(format!("{MINE}.1 {{}}")).number(0).arg(MINE).arg("any");
    assert!(bench.link.call(&call).await.is_err());
    assert!(!bench.is_there("b").await);
    assert_eq!(bench.beat(90_000, &[("a", MINE)]).await, [Answer::Done]);
    assert_ne!(bench.text(&["ZSCORE", &bench.keys.expiries(), "a"]).await, expiry);
}

#[tokio::test]
async fn the_index_forgets_only_what_nobody_touched() {
    let bench = Bench::start().await;
    let index = Namespace::new("test").services();
    let touch = |name: &str| Call::new(&TOUCH, [index.clone()]).arg(name);
    bench.run(touch("a")).await;
    let seen = bench.text(&["ZSCORE", &index, "a"]).await;
    bench.run(touch("a")).await;
    let forget = |score: &str| Call::new(&FORGET, [index.clone()]).arg("a").arg(score);
    assert_eq!(bench.run(forget(&seen)).await, Value::Int(0), "it was written to since");
    let seen = bench.text(&["ZSCORE", &index, "a"]).await;
    assert_eq!(bench.run(forget(&seen)).await, Value::Int(1));
}

#[tokio::test]
async fn a_quota_is_leased_at_its_rate_and_shared() {
    let bench = Bench::start().await;
    let random: Arc<dyn lb_core::RandomSource> = Arc::new(SeededRandom::new(2));
    let one = RedisLimits::new(bench.link.clone(), Namespace::new("test"), &random);
    let two = RedisLimits::new(bench.link.clone(), Namespace::new("test"), &random);
    // 1,000 a second; half a second of it may pile up.
    let terms = Terms::of(Limits::NONE.requests_per_minute(60_000)).unwrap();
    let ask = |requests| {
        let mut request = LeaseRequest::new(terms);
        request.requests = requests;
        request
    };
    let start = tokio::time::Instant::now();
    assert_eq!(
        one.lease("key", ask(500)).await.unwrap().requests,
        500,
        "what has piled up, for who is alone"
    );
    let mut total = 0;
    while start.elapsed() < Duration::from_millis(500) {
        let lease = two.lease("key", ask(1000)).await.unwrap();
        assert_eq!(lease.sharers, 2);
        total += lease.requests;
        tokio::time::sleep(lease.ask_again.max(Duration::from_millis(1))).await;
    }
    let due = start.elapsed().as_millis() as u64;
    assert!(total <= due + 1 && total * 10 >= due * 7, "{total} of {due}");
    let mut back = ask(0);
    back.unused_requests = 10_000;
    one.lease("key", back).await.unwrap();
    assert!(
        two.lease("key", ask(10_000)).await.unwrap().requests <= 250,
        "a fair part, and the pile has a bound"
    );

    // Tokens: more than can pile up is granted when the pile is full, and is owed.
    let terms = Terms::of(Limits::NONE.tokens_per_minute(6_000)).unwrap();
    let mut request = LeaseRequest::new(terms);
    (request.tokens, request.least_tokens) = (200, 200);
    assert_eq!(one.lease("tokens", request).await.unwrap().tokens, 200);
    let lease = one.lease("tokens", request).await.unwrap();
    assert_eq!(lease.tokens, 0);
    assert!(lease.ask_again > Duration::from_millis(1500), "150 are owed, at 100 a second: {lease:?}");

    one.rest("key", Duration::from_secs(60)).await.unwrap();
    one.rest("key", Duration::from_secs(1)).await.unwrap();
    let rest = two.lease("key", ask(1)).await.unwrap().rest.unwrap();
    assert!(rest > Duration::from_secs(50), "rests merge by maximum: {rest:?}");
}
