//! The thread that starts all processes.
//!
//! The kernel sends the death signal when the *thread* that started the child ends, and the threads of tests and of
//! tokio's blocking pool end long before the process does. So one thread that never ends starts them all.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// Starts `command` on the thread that lives as long as this process.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = SPAWNER.get_or_init(|| {
        let (orders, queue) = channel::<Order>();
        std::thread::Builder::new()
            .name("testkit-spawner".to_owned())
            .spawn(move || {
                for mut order in queue {
                    // Who ordered may have given up since.
                    let _ = order.reply.send(order.command.spawn());
                }
            })
            .expect("a thread can be made at the start of a test");
        orders
    });
    let (reply, answer) = channel();
    let gone = |_| io::Error::other("the thread that starts servers has ended");
    orders
        .send(Order { command, reply })
        .map_err(|_| io::Error::other("the thread that starts servers has ended"))?;
    answer.recv().map_err(gone)?
}
