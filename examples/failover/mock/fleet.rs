//! All the vendors of one run.

use std::io;
use std::time::Duration;

use loadbalance::prelude::*;
use reqwest::Client;
use tokio::time::Instant;

use super::scene::{SWITCHED_OFF, seventh, six};
use super::server::MockVendor;
use crate::key::Key;
use crate::vendor::Vendor;

/// Freshly started vendors, whose troubles begin to run now.
#[derive(Debug)]
pub(crate) struct Fleet {
    vendors: Vec<MockVendor>,
    seventh: MockVendor,
}

impl Fleet {
    pub(crate) async fn start(cycle: Duration) -> io::Result<Self> {
        let started = Instant::now();
        let mut vendors = Vec::new();
        for role in six(cycle) {
            vendors.push(MockVendor::start(role, started).await?);
        }
        Ok(Self { vendors, seventh: MockVendor::start(seventh(), started).await? })
    }

    /// The six, as the application knows them.
    pub(crate) fn six(&self, client: &Client, silence: Duration) -> Vec<Vendor> {
        self.vendors.iter().map(|mock| known(mock, client, silence)).collect()
    }

    /// The one that joins later.
    pub(crate) fn seventh(&self, client: &Client, silence: Duration) -> Vendor {
        known(&self.seventh, client, silence)
    }

    /// Maintenance begins.
    pub(crate) fn switch_off(&self) {
        self.vendors.iter().filter(|mock| mock.role.id == SWITCHED_OFF).for_each(MockVendor::switch_off);
    }
}

fn known(mock: &MockVendor, client: &Client, silence: Duration) -> Vendor {
    let url = format!("{}/chat/completions", mock.base_url);
    Vendor {
        id: mock.role.id.to_owned(),
        url: url.parse().expect("an address and a path"),
        model: "qwen-max".to_owned(),
        key: Some(Key::new(mock.role.key).expect("plain characters")),
        stream: mock.role.stream,
        weight: 1,
        limits: Limits::NONE,
        quota_group: None,
        client: client.clone(),
        silence,
    }
}
