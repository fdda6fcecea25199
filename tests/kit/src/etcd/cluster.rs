//! Three members: [`EtcdCluster`].

use std::time::Duration;

use super::ctl;
use super::options::EtcdOptions;
use super::peers::Peers;
use super::saved::SavedData;
use super::server::{EtcdServer, Ports, READY};
use crate::error::{Error, Result};

/// A cluster of several members, on one machine.
#[derive(Debug)]
pub struct EtcdCluster {
    members: Vec<EtcdServer>,
    peers: Option<Peers>,
}

impl EtcdCluster {
    /// Starts three members with default settings and waits until all are ready.
    ///
    /// # Errors
    ///
    /// etcd is not installed, or a member is not ready within half a minute.
    pub async fn start() -> Result<Self> {
        Self::start_with(3, &EtcdOptions::default()).await
    }

    /// Starts `count` members and waits until all are ready.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(count: usize, options: &EtcdOptions) -> Result<Self> {
        let mut last = Error::new("no attempt was made");
        for _ in 0..5 {
            let cluster = Self::new(count, options).await?;
            cluster.spawn_all()?;
            match cluster.wait_ready(READY).await {
                Ok(()) => return Ok(cluster),
                Err(error) if cluster.members.iter().any(EtcdServer::port_was_taken) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn new(count: usize, options: &EtcdOptions) -> Result<Self> {
        let mut ports: Vec<_> = (0..count).map(|_| Ports::reserve()).collect::<Result<_>>()?;
        let mut peers = None;
        if options.separable {
            let between = Peers::start(ports.iter().map(Ports::peer)).await?;
            for (ports, url) in ports.iter_mut().zip(between.urls()) {
                ports.reached_at = Some(url);
            }
            peers = Some(between);
        }
        let named: Vec<_> =
            ports.iter().enumerate().map(|(i, ports)| format!("m{i}={}", ports.peer_url())).collect();
        let named = named.join(",");
        let certificates = options.tls.certificates()?;
        let members = ports
            .into_iter()
            .enumerate()
            .map(|(i, ports)| {
                EtcdServer::new(&format!("m{i}"), ports, &named, options.clone(), certificates.clone())
            })
            .collect::<Result<_>>()?;
        Ok(Self { members, peers })
    }

    /// The members.
    pub fn members(&self) -> &[EtcdServer] {
        &self.members
    }

    /// Where clients connect to, of every member.
    pub fn client_urls(&self) -> Vec<String> {
        self.members.iter().map(EtcdServer::client_url).collect()
    }

    /// The member that leads. During an election one waits, up to ten seconds.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn leader(&self) -> Result<&EtcdServer> {
        let found = crate::eventually_async("a leader", Duration::from_secs(10), || async {
            for member in &self.members {
                if member.is_leader().await {
                    return Some(member);
                }
            }
            None
        });
        Ok(found.await?.0)
    }

    /// A member that does not lead, under the same conditions.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn follower(&self) -> Result<&EtcdServer> {
        let leader = self.leader().await?.name();
        let follower = self.members.iter().find(|member| member.name() != leader);
        follower.ok_or_else(|| Error::new("a cluster of one has no follower"))
    }

    /// Kills so many members that no quorum is left, the leader among them. Returns the killed ones:
    /// [`heal`](Self::heal) brings them back.
    ///
    /// # Errors
    ///
    /// There is no leader to begin with.
    pub async fn lose_quorum(&self) -> Result<Vec<&EtcdServer>> {
        let leader = self.leader().await?;
        let count = self.members.len().div_ceil(2);
        let others = self.members.iter().filter(|member| member.name() != leader.name());
        let killed: Vec<_> = std::iter::once(leader).chain(others).take(count).collect();
        for member in &killed {
            member.kill9();
        }
        Ok(killed)
    }

    /// Keeps members from each other: only those of the same group still reach each other, and packets between others
    /// vanish. Members are named by their place; one that is in no group, or is started again meanwhile, is alone.
    /// Clients still reach all of them. [`reunite`](Self::reunite) ends it.
    ///
    /// # Errors
    ///
    /// The cluster was not started with [`separable`](EtcdOptions::separable), or a member does not run.
    pub fn separate(&self, groups: &[&[usize]]) -> Result<()> {
        let peers = self.peers.as_ref().ok_or_else(|| Error::new("the cluster is not separable"))?;
        let member = |&place: &usize| {
            let member = self
                .members
                .get(place)
                .and_then(|member| Some((member.process().pid()?, member.peer_port())));
            member.ok_or_else(|| Error::new(format!("member {place} does not run")))
        };
        let groups = groups.iter().map(|group| group.iter().map(member).collect()).collect::<Result<_>>()?;
        peers.set(Some(groups));
        Ok(())
    }

    /// All members reach each other again.
    pub fn reunite(&self) {
        if let Some(peers) = &self.peers {
            peers.set(None);
        }
    }

    /// SIGSTOP for all.
    pub fn stop_all(&self) {
        self.members.iter().for_each(EtcdServer::stop);
    }

    /// SIGCONT for all.
    pub fn cont_all(&self) {
        self.members.iter().for_each(EtcdServer::cont);
    }

    /// `kill -9` for all.
    pub fn kill_all(&self) {
        self.members.iter().for_each(EtcdServer::kill9);
    }

    /// Starts all, after killing those that run. Does not wait.
    ///
    /// # Errors
    ///
    /// A process cannot be started.
    pub fn spawn_all(&self) -> Result<()> {
        self.members.iter().try_for_each(EtcdServer::spawn)
    }

    /// Starts those that do not run, continues all, lets them reach each other, and waits until all are ready.
    ///
    /// # Errors
    ///
    /// A member is not ready within half a minute.
    pub async fn heal(&self) -> Result<()> {
        self.reunite();
        self.cont_all();
        for member in &self.members {
            if member.process().pid().is_none() {
                member.spawn()?;
            }
        }
        self.wait_ready(READY).await
    }

    /// Waits until all members serve.
    ///
    /// # Errors
    ///
    /// One does not within `bound`.
    pub async fn wait_ready(&self, bound: Duration) -> Result<()> {
        for member in &self.members {
            member.wait_ready(bound).await?;
        }
        Ok(())
    }

    /// Kills all members and removes their data. [`heal`](Self::heal) brings them back empty, under the same cluster
    /// id.
    ///
    /// # Errors
    ///
    /// The data cannot be removed.
    pub fn wipe(&self) -> Result<()> {
        self.kill_all();
        self.members.iter().try_for_each(EtcdServer::wipe)
    }

    /// Copies the data of all members as they would be found if all were killed now. They are stopped for the moment.
    ///
    /// # Errors
    ///
    /// The data cannot be read.
    pub fn save(&self) -> Result<Vec<SavedData>> {
        self.stop_all();
        let saved = self.members.iter().map(|member| SavedData::copy(&member.data())).collect();
        self.cont_all();
        saved
    }

    /// Kills all and puts `saved` in place of their data: the history is rolled back. [`heal`](Self::heal) brings
    /// them back.
    ///
    /// # Errors
    ///
    /// The data cannot be written.
    pub fn restore(&self, saved: &[SavedData]) -> Result<()> {
        self.kill_all();
        self.members.iter().zip(saved).try_for_each(|(member, saved)| member.restore(saved))
    }

    /// Runs etcd's client with these arguments against all members; see
    /// [`EtcdServer::etcdctl`](EtcdServer::etcdctl).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn etcdctl(&self, args: &[&str]) -> Result<String> {
        let certificates = self.members.first().and_then(EtcdServer::certificates);
        ctl::run(&self.client_urls(), certificates, args).await
    }
}
