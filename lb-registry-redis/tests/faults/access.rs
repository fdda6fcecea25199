//! Rights that are taken away, passwords that are wrong, and TLS.

use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_registry_redis::Tls;
use lb_testkit::redis::{RedisOptions, RedisServer};

use crate::fleet::{Fleet, builder, took};

const SECOND: Duration = Duration::from_secs(1);
/// As in the operations guide.
const WRITER: &str = "on >secret-w resetkeys ~lb:{faults* resetchannels &lb:{faults* -@all +@connection +eval +evalsha \
                      +time +get +set +setnx +mget +exists +hget +hset +hdel +hexists +hgetall +hmget +zadd +zrem +zscore \
                      +zrange +zrangebyscore +zremrangebyscore +zremrangebyrank +zcard +pexpire +del +publish +subscribe \
                      +unsubscribe +multi +exec +ping +role";
const READER: &str = "on >secret-r resetkeys %R~lb:{faults* resetchannels &lb:{faults* -@all +@connection +time +get +mget \
                      +exists +hgetall +zrange +zrangebyscore +subscribe +unsubscribe +multi +exec +ping";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_the_guide_are_enough_and_a_reader_cannot_write() {
    let options = RedisOptions::new().user("writer", WRITER).user("reader", READER);
    let redis = RedisServer::start_with(options).await.unwrap();
    let writer = builder(&redis.url()).credentials("writer", "secret-w");
    let reader = builder(&redis.url()).credentials("reader", "secret-r");
    let fleet = Fleet::with(writer, reader).await;
    fleet.converges("r", 2 * SECOND).await;
    assert_eq!(fleet.b.services().await.unwrap(), ["s"]);
    let error = fleet.b.register("s", Instance::new("no")).await.unwrap_err();
    let text = format!("{error} {:?} {:?}", error, std::error::Error::source(&error).unwrap().to_string());
    assert!(text.contains("operations guide") && !text.contains("secret"), "{text}");
    assert!(!format!("{:?} {:?}", fleet.b, fleet.b.status()).contains("secret"));
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_taken_away_and_given_back() {
    let options = RedisOptions::new().user("writer", WRITER);
    let redis = RedisServer::start_with(options).await.unwrap();
    let with = || builder(&redis.url()).credentials("writer", "secret-w");
    let fleet = Fleet::with(with(), with()).await;
    redis.cli(&["ACL", "SETUSER", "writer", "resetkeys", "resetchannels"]).await.unwrap();
    took("ACL revoked", "stale", fleet.is_stale_within(8 * SECOND).await, 8 * SECOND);
    assert!(fleet.a.register("s", Instance::new("r")).await.is_err());
    assert_eq!(fleet.view(), ["x", "y", "z"]);
    redis.cli(&["ACL", "SETUSER", "writer", "~lb:{faults*", "&lb:{faults*"]).await.unwrap();
    took("ACL given back", "converged", fleet.converges("r", 5 * SECOND).await, 5 * SECOND);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_listen_changes_are_seen_by_polling() {
    let deaf = READER.replace(" &lb:{faults*", "");
    let options = RedisOptions::new().user("writer", WRITER).user("reader", &deaf);
    let redis = RedisServer::start_with(options).await.unwrap();
    let writer = builder(&redis.url()).credentials("writer", "secret-w");
    let reader = builder(&redis.url()).credentials("reader", "secret-r");
    let fleet = Fleet::with(writer, reader).await;
    assert!(fleet.is_stale_within(3 * SECOND).await < 3 * SECOND, "what is not heard at once is not live");
    fleet.a.register("s", Instance::new("r")).await.unwrap();
    let bound = 8 * SECOND;
    took("no right to listen", "seen", fleet.sees(&["r", "x", "y", "z"], bound).await, bound);
    fleet.a.deregister("s", "r").await.unwrap();
    took("no right to listen", "seen to go", fleet.sees(&["x", "y", "z"], bound).await, bound);
    redis.cli(&["ACL", "SETUSER", "reader", "&lb:{faults*"]).await.unwrap();
    took("right to listen given", "live", fleet.is_live_within(bound).await, bound);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_an_error_that_does_not_tell_it() {
    let redis = RedisServer::start_with(RedisOptions::new().user("writer", WRITER)).await.unwrap();
    let wrong = builder(&redis.url()).credentials("writer", "hunter2").wait(2 * SECOND);
    assert!(!format!("{wrong:?}").contains("hunter2"));
    let error = wrong.connect().await.unwrap_err();
    let text = format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap());
    assert!(text.to_lowercase().contains("password") && !text.contains("hunter2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_and_without_a_client_certificate() {
    for mutual in [false, true] {
        let kind = if mutual { lb_testkit::Tls::Mutual } else { lb_testkit::Tls::Server };
        let redis = RedisServer::start_with(RedisOptions::new().tls(kind)).await.unwrap();
        let certificates = redis.certificates().unwrap();
        let mut tls = Tls::default().trust(std::fs::read(certificates.authority()).unwrap());
        if mutual {
            let (certificate, key) = (certificates.client(), certificates.client_key());
            tls = tls.identity(std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap());
        }
        let with = || builder(&redis.url()).tls(tls.clone());
        let fleet = Fleet::with(with(), with()).await;
        fleet.converges("r", 2 * SECOND).await;
        fleet.end(&redis).await;
        let untrusted = builder(&redis.url()).wait(2 * SECOND).connect().await;
        assert!(untrusted.is_err(), "a certificate that nobody vouches for was taken");
    }
}
