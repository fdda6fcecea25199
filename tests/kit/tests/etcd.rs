//! The kit's etcd servers do what their verbs say.

use std::time::Duration;

use lb_testkit::etcd::{EtcdCluster, EtcdOptions, EtcdServer};
use lb_testkit::{Result, Tls, eventually_async};

#[tokio::test]
async fn one_member_keeps_its_data_over_a_kill_and_loses_it_to_a_wipe() -> Result<()> {
    let etcd = EtcdServer::start().await?;
    etcd.etcdctl(&["put", "a/1", "one"]).await?;
    let saved = etcd.save()?;
    etcd.etcdctl(&["put", "a/2", "two"]).await?;

    etcd.kill9();
    assert!(etcd.etcdctl(&["--command-timeout=1s", "get", "a/1"]).await.is_err());
    etcd.restart().await?;
    let pairs = etcd.get_prefix("a/").await?;
    assert_eq!(pairs, [("a/1".to_owned(), b"one".to_vec()), ("a/2".to_owned(), b"two".to_vec())]);
    let revision = etcd.compact().await?;

    etcd.restore(&saved)?;
    etcd.restart().await?;
    assert_eq!(etcd.get_prefix("a/").await?, [("a/1".to_owned(), b"one".to_vec())]);
    assert!(etcd.revision().await? < revision, "the history is rolled back");

    etcd.wipe()?;
    etcd.restart().await?;
    assert_eq!(etcd.get_prefix("a/").await?, []);
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_does_not_answer_until_it_is_continued() -> Result<()> {
    let etcd = EtcdServer::start().await?;
    etcd.stop();
    assert!(etcd.etcdctl(&["--command-timeout=500ms", "get", "a"]).await.is_err());
    assert!(etcd.wait_ready(Duration::from_millis(200)).await.is_err());
    etcd.cont();
    etcd.wait_ready(Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_cluster_elects_another_leader_and_loses_its_quorum() -> Result<()> {
    let cluster = EtcdCluster::start().await?;
    cluster.etcdctl(&["put", "a", "1"]).await?;
    let old = cluster.leader().await?;
    assert_ne!(cluster.follower().await?.name(), old.name());
    old.kill9();
    let leader = eventually_async("another leader", Duration::from_secs(20), || async {
        cluster.leader().await.ok().filter(|leader| leader.name() != old.name())
    });
    let (leader, took) = leader.await?;
    println!("{} leads after {took:?}", leader.name());
    cluster.heal().await?;

    let killed = cluster.lose_quorum().await?;
    assert_eq!(killed.len(), 2);
    assert!(cluster.etcdctl(&["--command-timeout=1s", "put", "a", "2"]).await.is_err());
    cluster.heal().await?;
    cluster.etcdctl(&["put", "a", "3"]).await?;

    let saved = cluster.save()?;
    cluster.wipe()?;
    cluster.heal().await?;
    assert_eq!(cluster.members()[0].get_prefix("a").await?, []);
    cluster.restore(&saved)?;
    cluster.heal().await?;
    assert_eq!(cluster.members()[1].get_prefix("a").await?, [("a".to_owned(), b"3".to_vec())]);
    Ok(())
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn members_that_are_separated_are_not_one_cluster() -> Result<()> {
    let cluster = EtcdCluster::start_with(3, &EtcdOptions::new().separable()).await?;
    let put = async |member: usize, value| {
        cluster.members()[member].etcdctl(&["--command-timeout=4s", "put", "a", value]).await
    };
    let old = cluster.leader().await?.name();
    let place = cluster.members().iter().position(|member| member.name() == old).unwrap();
    let (one, other) = ((place + 1) % 3, (place + 2) % 3);
    cluster.separate(&[&[place], &[one, other]])?;
    let elected = eventually_async("the majority has a leader", Duration::from_secs(20), || async {
        (cluster.members()[one].is_leader().await || cluster.members()[other].is_leader().await).then_some(())
    });
    println!("elected after {:?}", elected.await?.1);
    put(one, "1").await?;
    put(other, "2").await?;
    assert!(put(place, "3").await.is_err(), "it is alone");

    cluster.separate(&[])?;
    assert!(put(one, "4").await.is_err(), "all are alone");
    cluster.reunite();
    cluster.wait_ready(Duration::from_secs(20)).await?;
    for member in 0..3 {
        put(member, "5").await?;
    }
    let plain = EtcdCluster::start_with(1, &EtcdOptions::new()).await?;
    assert!(plain.separate(&[&[0]]).is_err());
    Ok(())
}

#[tokio::test]
async fn a_full_store_refuses_writes() -> Result<()> {
    let etcd = EtcdServer::start_with(EtcdOptions::new().quota_backend_bytes(1 << 20)).await?;
    let value = "x".repeat(100_000);
    let mut refused = None;
    for i in 0..40 {
        if let Err(error) = etcd.etcdctl(&["put", &format!("k{i}"), &value]).await {
            refused = Some(error.to_string());
            break;
        }
    }
    assert!(refused.expect("the store is full").contains("space exceeded"));
    etcd.restart().await
}

#[tokio::test]
async fn tls_is_asked_for() -> Result<()> {
    let etcd = EtcdServer::start_with(EtcdOptions::new().tls(Tls::Mutual)).await?;
    assert!(etcd.client_url().starts_with("https://"));
    etcd.etcdctl(&["put", "a", "1"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let options = EtcdOptions::new().flag("--no-such-flag");
    let error = EtcdServer::start_with(options).await.expect_err("etcd does not know it").to_string();
    assert!(error.contains("no-such-flag"), "{error}");
}
