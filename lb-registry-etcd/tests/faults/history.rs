//! etcd compacts, forgets, and goes back in time.

use std::time::Duration;

use lb_core::registry::{InstanceState, Snapshot};
use lb_core::{Instance, ServiceRegistry};
use lb_testkit::ProxyMode;

use crate::support::{
    Caller, Proxies, TTL, cluster, connect, ids, instance, on_one_and_on_three, until, until_live,
    until_status,
};

on_one_and_on_three!(
    what_happened_meanwhile_was_compacted,
    everything_is_lost,
    the_history_is_rolled_back,
    the_history_is_another_one_though_longer,
);

async fn what_happened_meanwhile_was_compacted(members: usize) {
    let cluster = cluster(members).await;
    let proxies = Proxies::start(&cluster).await;
    let (reader, writer) = (connect(proxies.urls()).await, connect(cluster.client_urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    for id in ["a", "b", "c"] {
        writer.register("cart", instance(id)).await.unwrap();
    }
    until_live("registered", &watch, Duration::from_secs(2), &["a", "b", "c"]).await;
    let lists = reader.status().relists;

    proxies.refuse_all();
    writer.deregister("cart", "a").await.unwrap();
    writer.register("cart", instance("d")).await.unwrap();
    writer.register("other", instance("e")).await.unwrap();
    cluster.members()[0].compact().await.unwrap();
    proxies.set(ProxyMode::Pass);
    until("what was missed", &watch, Duration::from_secs(3), |s| ids(s).contains(&"d")).await;
    assert_eq!(reader.status().relists, lists + 1, "it had to be listed");
    assert_eq!(reader.services().await.unwrap(), ["cart", "other"]);
    assert!(watch.current().entries.len() <= 4);
}

async fn everything_is_lost(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let mut kept = Vec::new();
    for id in ["a", "b", "c"] {
        kept.push(owner.announce("cart", instance(id)).await.unwrap());
    }
    // So that the new history has a smaller revision.
    for _ in 0..20 {
        owner.register("cart", instance("d")).await.unwrap();
    }
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b", "c", "d"]).await;
    let before = watch.current();
    let caller = Caller::start(&reader, "cart").await;
    cluster.wipe().unwrap();
    cluster.heal().await.unwrap();
    let bound = TTL / 3 + Duration::from_secs(1);
    until_status("registered again", bound, || owner.status().re_registrations >= 3).await;
    until("all are back", &watch, bound, |s| {
        ["a", "b", "c"].iter().all(|id| {
            let state = s.entries.get(id).map(|entry| entry.state);
            state == Some(lb_core::registry::InstanceState::Ready)
        })
    })
    .await;
    caller.finish().await;
    assert!(reader.status().rewinds >= 1, "{:?}", reader.status());
    let after = watch.current();
    assert!(after.revision > before.revision, "the revision has not gone back");
    for id in ["a", "b", "c"] {
        assert_eq!(before.entries.get(id).unwrap().revision, after.entries.get(id).unwrap().revision, "{id}");
    }
    assert!(after.entries.get("d").is_some(), "who merely vanished with all others is a suspect");
}

async fn the_history_is_rolled_back(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    owner.register("cart", instance("old")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a", "old"]).await;
    let saved = cluster.save().unwrap();
    owner.register("cart", instance("new")).await.unwrap();
    owner.deregister("cart", "old").await.unwrap();
    until_live("changed", &watch, Duration::from_secs(4), &["a", "new"]).await;
    let caller = Caller::start(&reader, "cart").await;

    cluster.restore(&saved).unwrap();
    cluster.heal().await.unwrap();
    until("what is back is seen", &watch, Duration::from_secs(5), |s| ids(s).contains(&"old")).await;
    // Writing works, with revisions that only grow.
    let before = watch.current().revision;
    owner.register("cart", instance("newer")).await.unwrap();
    until("a write", &watch, Duration::from_secs(2), |s| ids(s).contains(&"newer")).await;
    assert!(watch.current().revision > before);
    caller.finish().await;
}

/// An old backup is restored, and later a younger one: the revision is greater than ever, and yet what was written in
/// between is not there.
async fn the_history_is_another_one_though_longer(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    owner.register("cart", instance("a")).await.unwrap();
    let older = cluster.save().unwrap();
    for _ in 0..20 {
        owner.register("cart", instance("there")).await.unwrap();
    }
    until_live("registered", &watch, Duration::from_secs(2), &["a", "there"]).await;
    let younger = cluster.save().unwrap();

    cluster.restore(&older).unwrap();
    cluster.heal().await.unwrap();
    let ready = |s: &Snapshot<Instance>, id: &str| {
        s.entries.get(id).is_some_and(|entry| entry.state == InstanceState::Ready)
    };
    until("the older one", &watch, Duration::from_secs(5), |s| !ready(s, "there")).await;
    owner.register("cart", instance("between")).await.unwrap();
    until("a write", &watch, Duration::from_secs(2), |s| ready(s, "between")).await;

    cluster.restore(&younger).unwrap();
    cluster.heal().await.unwrap();
    until("the younger one", &watch, Duration::from_secs(5), |s| ready(s, "there") && !ready(s, "between"))
        .await;
}
