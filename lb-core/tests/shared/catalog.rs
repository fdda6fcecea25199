//! Single promises of the catalog.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lb_core::registry::shared::{
    Catalog, CatalogOptions, Change, CodecError, EmptyPolicy, Generation, Key, Listing, Numbering, Record,
    RemovalPolicy, Reset,
};
use lb_core::registry::{Freshness, InstanceState, Override, Revision};
use lb_core::{Instance, SeededRandom, ServiceConfig, Time};

const TTL: Duration = Duration::from_secs(10);
const T0: Time = Time::from_nanos(1_000_000_000_000);

fn generation(seed: u64) -> Generation {
    Generation::new(&SeededRandom::new(seed))
}

fn record(id: &str, seed: u64) -> Record<Instance> {
    Record::new(Instance::new(id), generation(seed))
}

fn options() -> CatalogOptions {
    CatalogOptions::default().with_removal(RemovalPolicy::for_ttl(TTL))
}

fn live(options: CatalogOptions) -> Catalog<Instance> {
    let catalog = Catalog::new(options, SystemTime::UNIX_EPOCH);
    catalog.set_freshness(Freshness::Live, T0);
    catalog
}

/// A live catalog whose service `s` has the instances `0` to `n - 1`, written at revisions from 1.
fn with(n: u64, options: CatalogOptions) -> Catalog<Instance> {
    let catalog = live(options);
    let items = (0..n).map(|i| Change::instance("s", i + 1, record(&i.to_string(), i)));
    assert_eq!(catalog.reset(Listing::new(n, items), T0), Reset::Applied);
    catalog
}

fn ids(catalog: &Catalog<Instance>) -> Vec<String> {
    catalog.latest("s").entries.iter().map(|entry| entry.id().to_owned()).collect()
}

fn suspects(catalog: &Catalog<Instance>) -> usize {
    let snapshot = catalog.latest("s");
    snapshot.entries.iter().filter(|entry| entry.state == InstanceState::Suspect).count()
}

#[test]
fn a_listing_is_taken_over_by_difference() {
    let catalog = with(3, options());
    let before = catalog.latest("s");
    let items = [
        Change::instance("s", 1, record("0", 0)),
        Change::instance("s", 5, record("1", 77)),
        Change::instance("s", 6, record("3", 3)),
    ];
    assert_eq!(catalog.reset(Listing::new(6, items), T0), Reset::Applied);
    let after = catalog.latest("s");
    assert!(Arc::ptr_eq(&before.entries.get("0").unwrap(), &after.entries.get("0").unwrap()));
    assert!(after.entries.get("1").unwrap().revision > before.entries.get("1").unwrap().revision);
    assert_eq!(
        after.entries.get("2").unwrap().state,
        InstanceState::Suspect,
        "one of three is more than 15 %"
    );
    assert!(after.revision > before.revision);
}

#[test]
fn what_is_known_already_publishes_nothing() {
    let catalog = with(3, options());
    let before = catalog.latest("s");
    assert_eq!(
        catalog.apply([Change::instance("s", 3, record("2", 2)), Change::removed("s", 2, "1")], T0),
        1
    );
    assert_eq!(
        catalog.reset(
            Listing::new(3, (0..3).map(|i| Change::instance("s", i + 1, record(&i.to_string(), i)))),
            T0
        ),
        Reset::Applied
    );
    assert!(Arc::ptr_eq(&before, &catalog.latest("s")));
}

#[tokio::test]
async fn a_batch_publishes_once() {
    let catalog = live(options());
    let mut watch = catalog.watch("s");
    catalog.apply((1..=100).map(|i| Change::instance("s", i, record(&i.to_string(), i))), T0);
    assert_eq!(watch.changed().await.unwrap().entries.len(), 100);
    assert!(tokio::time::timeout(Duration::ZERO, watch.changed()).await.is_err());
}

#[test]
fn an_explicit_removal_is_at_once() {
    let catalog = with(2, options());
    catalog.apply([Change::removed("s", 3, "0")], T0);
    assert_eq!(ids(&catalog), ["1"]);
    // Its last word was that it drains: whoever deleted it meant it.
    catalog.apply(
        [
            Change::instance("s", 4, record("1", 1).with_state(InstanceState::Draining)),
            Change::vanished("s", 5, "1"),
        ],
        T0,
    );
    assert!(ids(&catalog).is_empty());
}

#[test]
fn a_few_that_vanish_are_believed_and_a_crowd_is_not() {
    let catalog = with(20, options());
    catalog.apply((0..3).map(|i| Change::vanished("s", 21 + i, i.to_string())), T0);
    assert_eq!((ids(&catalog).len(), suspects(&catalog)), (17, 0));
    catalog.apply([Change::vanished("s", 24, "3")], T0);
    assert_eq!((ids(&catalog).len(), suspects(&catalog)), (17, 1), "the fourth of twenty");
    let trusting =
        with(20, options().with_removal(RemovalPolicy::for_ttl(TTL).with_empty(EmptyPolicy::Trust)));
    let _ = trusting.reset(Listing::new(21, []), T0);
    assert!(ids(&trusting).is_empty());
}

#[test]
fn suspects_go_when_their_time_is_over() {
    let catalog = with(3, options());
    let _ = catalog.reset(Listing::new(4, []), T0);
    assert_eq!(suspects(&catalog), 3);
    let deadline = catalog.next_deadline().unwrap();
    assert_eq!(deadline, T0 + 3 * TTL);
    catalog.expire(deadline - Duration::from_nanos(1));
    assert_eq!(suspects(&catalog), 3);
    catalog.expire(deadline);
    assert_eq!((ids(&catalog).len(), catalog.next_deadline(), catalog.len()), (0, None, 0));
    assert_eq!(catalog.status().expired, 3);
}

#[test]
fn time_stands_still_for_suspects_while_the_store_is_away() {
    let catalog = with(3, options());
    let _ = catalog.reset(Listing::new(4, []), T0);
    let away = T0 + TTL;
    catalog.set_freshness(Freshness::Stale { since: SystemTime::UNIX_EPOCH }, away);
    assert_eq!(catalog.next_deadline(), None);
    let back = away + 100 * TTL;
    catalog.expire(back);
    assert_eq!(suspects(&catalog), 3);
    catalog.set_freshness(Freshness::Live, back);
    assert_eq!(catalog.next_deadline(), Some(back + 2 * TTL));
}

#[test]
fn who_vanished_while_the_store_was_away_has_the_whole_grace() {
    let catalog = with(3, options());
    catalog.set_freshness(Freshness::Stale { since: SystemTime::UNIX_EPOCH }, T0);
    let back = T0 + 100 * TTL;
    let _ = catalog.reset(Listing::new(4, []), back);
    catalog.set_freshness(Freshness::Live, back);
    assert_eq!(catalog.next_deadline(), Some(back + 3 * TTL));
}

#[test]
fn a_suspect_that_is_back_is_the_same_instance() {
    let catalog = with(1, options());
    let before = catalog.latest("s").entries.get("0").cloned().unwrap();
    catalog.apply([Change::vanished("s", 2, "0")], T0);
    catalog.apply([Change::instance("s", 3, record("0", 0))], T0);
    let after = catalog.latest("s").entries.get("0").cloned().unwrap();
    assert_eq!(after.state, InstanceState::Ready);
    assert!(Arc::ptr_eq(&before.instance, &after.instance) && before.revision == after.revision);
    assert_eq!(catalog.next_deadline(), None);
}

#[test]
fn draining_is_not_a_new_instance() {
    let catalog = with(1, options());
    let before = catalog.latest("s").entries.get("0").cloned().unwrap();
    catalog.apply([Change::instance("s", 9, record("0", 0).with_state(InstanceState::Draining))], T0);
    let after = catalog.latest("s").entries.get("0").cloned().unwrap();
    assert!(after.is_draining() && Arc::ptr_eq(&before.instance, &after.instance));
    assert_eq!(before.revision, after.revision);
    assert_eq!(catalog.latest("s").revision, Revision::new(9));
}

#[test]
fn an_instance_that_never_was_in_use_is_not_kept() {
    let catalog = live(options());
    catalog.apply([Change::instance("s", 1, record("0", 0).with_state(InstanceState::Starting))], T0);
    catalog.apply([Change::vanished("s", 2, "0")], T0);
    assert!(ids(&catalog).is_empty());
}

#[test]
fn an_override_belongs_to_the_id() {
    let catalog = with(2, options());
    catalog.apply([Change::over("s", 3, "0", Override::drain())], T0);
    catalog.apply([Change::removed("s", 4, "0")], T0);
    catalog.apply([Change::instance("s", 5, record("0", 50))], T0);
    assert!(catalog.latest("s").entries.get("0").unwrap().over.draining, "it stays across a deployment");
    // Deregistering deletes both keys in one write.
    catalog.apply([Change::removed("s", 6, "0"), Change::over("s", 6, "0", Override::NONE)], T0);
    catalog.apply([Change::instance("s", 7, record("0", 51))], T0);
    assert_eq!(catalog.latest("s").entries.get("0").unwrap().over, Override::NONE);
    assert_eq!(catalog.status().overrides, 0);
}

#[test]
fn a_value_that_cannot_be_read_is_left_out() {
    let catalog = with(1, options());
    let bad = |revision, id: &str| {
        Change::unreadable(
            "s",
            revision,
            Key::Instance(id.into()),
            CodecError::malformed("json", "it is bad"),
        )
    };
    catalog.apply([bad(2, "x"), bad(3, "0"), bad(3, "0")], T0);
    let snapshot = catalog.latest("s");
    assert_eq!(
        (snapshot.skipped, ids(&catalog)),
        (2, vec!["0".into()]),
        "the last good value stays in force"
    );
    // A listing that has it does not make the instance vanish.
    let _ = catalog.reset(Listing::new(4, [bad(3, "0")]), T0);
    assert_eq!((catalog.latest("s").skipped, suspects(&catalog)), (1, 0));
    catalog.apply([Change::instance("s", 5, record("0", 9))], T0);
    assert_eq!(catalog.latest("s").skipped, 0);
}

#[test]
fn revisions_do_not_go_back_when_the_stores_do() {
    let catalog = with(3, options());
    let config = ServiceConfig::builder().max_retries(1).build().unwrap();
    catalog.apply([Change::config("s", 10, Some(config.clone()))], T0);
    let before = catalog.latest("s");
    let old = before.config.as_ref().unwrap().revision;
    assert_eq!((catalog.to_store("s", old), catalog.from_store("s", 10)), (Some(10), old));

    // An older listing that came too late changes nothing …
    assert_eq!(catalog.reset(Listing::new(5, []), T0), Reset::Outdated);
    // … one of a store that was wiped does.
    let items = [Change::instance("s", 2, record("0", 0)), Change::config("s", 3, Some(config))];
    assert_eq!(catalog.reset(Listing::new(3, items).rewound(), T0), Reset::Applied);
    let after = catalog.latest("s");
    let new = after.config.as_ref().unwrap().revision;
    assert!(after.revision > before.revision && new > old);
    assert_eq!((catalog.to_store("s", new), catalog.from_store("s", 3)), (Some(3), new));
    assert_eq!(catalog.to_store("s", old), None, "nothing can be at a revision of a history that is lost");
    assert_eq!(catalog.to_store("s", Revision::NONE), Some(0));
    assert!(Arc::ptr_eq(before.entries.get("0").unwrap(), after.entries.get("0").unwrap()));
    assert_eq!(catalog.status().rewinds, 1);
    // And it goes on from there.
    assert_eq!(catalog.apply([Change::instance("s", 4, record("1", 5))], T0), 1);
    assert!(catalog.latest("s").revision > after.revision);
}

#[test]
fn another_epoch_is_another_history() {
    let catalog = live(options().with_numbering(Numbering::Service));
    let listing = |revision, epoch: &str| {
        Listing::new(revision, [Change::instance("s", revision, record("0", 0))]).in_epoch(epoch)
    };
    assert_eq!(catalog.reset_service("s", listing(7, "a"), T0), Reset::Applied);
    assert_eq!(catalog.reset_service("s", listing(6, "a"), T0), Reset::Outdated);
    let before = catalog.latest("s");
    // The same number, of a replica that was promoted.
    assert_eq!(catalog.reset_service("s", listing(7, "b"), T0), Reset::Applied);
    let after = catalog.latest("s");
    assert!(after.revision > before.revision);
    assert!(Arc::ptr_eq(before.entries.get("0").unwrap(), after.entries.get("0").unwrap()));
}

#[test]
fn services_have_numbers_of_their_own() {
    let catalog = live(options().with_numbering(Numbering::Service));
    let _ = catalog.reset_service("s", Listing::new(70, [Change::instance("s", 70, record("0", 0))]), T0);
    let _ = catalog.reset_service("t", Listing::new(2, [Change::instance("t", 2, record("0", 0))]), T0);
    assert_eq!(
        catalog.apply([Change::instance("t", 3, record("1", 1)), Change::removed("s", 71, "0")], T0),
        2
    );
    assert_eq!((catalog.applied("s"), catalog.applied("t")), (71, 3));
}

#[test]
fn a_deleted_service_does_not_come_back_by_a_replay() {
    let catalog = with(1, options());
    catalog.apply([Change::removed("s", 2, "0")], T0);
    assert_eq!(catalog.len(), 0);
    assert_eq!(
        catalog.apply([Change::instance("s", 1, record("0", 0)), Change::removed("s", 2, "0")], T0),
        1
    );
    assert_eq!(catalog.len(), 0);
}

#[test]
fn names_that_nobody_knows_leave_nothing_behind() {
    let catalog = with(1, options());
    for n in 0..100_000 {
        let name = format!("typed by a user {n}");
        drop(catalog.watch(&name));
        assert!(!catalog.latest(&name).is_known());
    }
    assert_eq!((catalog.len(), catalog.services()), (1, vec!["s".to_owned()]));
    // All at once, too.
    let watches: Vec<_> = (0..100_000).map(|n| catalog.watch(&n.to_string())).collect();
    assert_eq!(catalog.len(), 100_001);
    drop(watches);
    assert_eq!(catalog.len(), 1);
}

#[test]
fn a_watch_sees_a_service_come_and_go() {
    let catalog = live(options());
    let watch = catalog.watch("s");
    assert_eq!((watch.current().is_known(), watch.current().freshness), (false, Freshness::Live));
    catalog.apply([Change::instance("s", 1, record("0", 0))], T0);
    assert!(watch.current().is_known());
    catalog.apply([Change::removed("s", 2, "0")], T0);
    assert_eq!((watch.current().is_known(), catalog.len()), (false, 1));
    drop(watch);
    assert_eq!(catalog.len(), 0);
}

#[tokio::test]
async fn a_watch_does_not_keep_the_catalog_alive() {
    let catalog = with(1, options());
    let mut watch = catalog.watch("s");
    let waiting =
        tokio::spawn(async move { (watch.changed().await.is_err(), watch.current().entries.len()) });
    tokio::task::yield_now().await;
    drop(catalog);
    assert_eq!(waiting.await.unwrap(), (true, 1));
}

#[test]
fn a_filter_keeps_the_others_out() {
    let catalog = live(options().keeping(|service| service == "s"));
    let _ = catalog.reset(
        Listing::new(2, [Change::instance("s", 1, record("0", 0)), Change::instance("t", 2, record("0", 0))]),
        T0,
    );
    catalog.apply([Change::instance("u", 3, record("0", 0))], T0);
    assert_eq!((catalog.services(), catalog.len()), (vec!["s".to_owned()], 1));
    assert_eq!(catalog.applied("s"), 3, "the others' changes count for the revision");
}

#[test]
fn freshness_is_in_every_snapshot() {
    let catalog = Catalog::new(options(), SystemTime::UNIX_EPOCH);
    let watch = catalog.watch("s");
    let stale = Freshness::Stale { since: SystemTime::UNIX_EPOCH };
    assert_eq!(watch.current().freshness, stale);
    let _ = catalog.reset(Listing::new(1, [Change::instance("s", 1, record("0", 0))]), T0);
    assert_eq!(watch.current().freshness, stale);
    catalog.set_freshness(Freshness::Live, T0);
    assert_eq!(watch.current().freshness, Freshness::Live);
    let since = SystemTime::UNIX_EPOCH + TTL;
    catalog.set_freshness(Freshness::Stale { since }, T0);
    catalog.set_freshness(Freshness::Stale { since: since + TTL }, T0);
    assert_eq!(watch.current().freshness, Freshness::Stale { since }, "since the first time");
    assert_eq!(catalog.latest("unknown").freshness, Freshness::Stale { since });
}

#[tokio::test]
async fn a_write_can_be_waited_for() {
    let catalog = live(options());
    let reader = catalog.clone();
    let waiting = tokio::spawn(async move {
        reader.reached("s", 2).await;
        reader.latest("s").entries.len()
    });
    catalog.apply([Change::instance("s", 1, record("0", 0))], T0);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    catalog.apply([Change::instance("s", 2, record("1", 1))], T0);
    assert_eq!(waiting.await.unwrap(), 2);
}

#[test]
fn what_was_exported_can_be_restored() {
    let catalog = with(3, options());
    let config = ServiceConfig::builder().max_retries(1).build().unwrap();
    catalog.apply([Change::config("s", 4, Some(config)), Change::over("s", 5, "1", Override::drain())], T0);
    let _ = catalog.reset(Listing::new(6, [Change::instance("s", 1, record("0", 0))]).in_epoch("e"), T0);
    let export = catalog.export();

    let cold = Catalog::new(options(), SystemTime::UNIX_EPOCH);
    let watch = cold.watch("s");
    assert!(cold.restore(export.image(), T0));
    assert_eq!((cold.freshness(), watch.current().freshness), (Freshness::ColdCache, Freshness::ColdCache));
    assert_eq!(watch.current().entries.len(), 3);
    assert!(watch.current().entries.iter().all(|entry| entry.state != InstanceState::Suspect));
    cold.set_freshness(Freshness::Stale { since: SystemTime::UNIX_EPOCH }, T0);
    assert_eq!(cold.freshness(), Freshness::ColdCache);
    assert!(!cold.restore(export.image(), T0), "something is known already");

    // The first listing may be of a smaller revision: the store was wiped meanwhile.
    let before = watch.current();
    assert_eq!(cold.reset(Listing::new(2, [Change::instance("s", 2, record("0", 0))]), T0), Reset::Applied);
    cold.set_freshness(Freshness::Live, T0);
    assert!(watch.current().revision > before.revision);
    assert!(Arc::ptr_eq(before.entries.get("0").unwrap(), watch.current().entries.get("0").unwrap()));
    assert_eq!(suspects(&cold), 2);
}

#[test]
fn nothing_prints_an_instance() {
    let secret = || Record::new(Instance::new("0").with_metadata("key", "sk-secret"), generation(0));
    let catalog = live(options());
    let change = Change::instance("s", 1, secret());
    let listing = Listing::new(1, [Change::instance("s", 1, secret())]);
    let mut printed = format!("{change:?} {listing:?} {:?}", secret());
    catalog.apply([change], T0);
    let export = catalog.export();
    printed += &format!("{catalog:?} {export:?} {:?}", export.image());
    printed += &serde_json::to_string(&catalog.status()).unwrap();
    assert!(!printed.contains("sk-secret"), "{printed}");
}
