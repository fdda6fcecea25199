//! [`RedisRegistry`] as a [`ServiceRegistry`].

use async_trait::async_trait;
use futures_util::future::join_all;
use lb_core::registry::shared::{Generation, Record, encode_config, encode_override};
use lb_core::registry::{Announcement, Override, RegistryError, Revision, SnapshotWatch, validate};
use lb_core::{ServiceConfig, ServiceInstance, ServiceRegistry};

use crate::connection::ConnectionError;
use crate::core::{Mode, unexpected};
use crate::registry::RedisRegistry;
use crate::scripts::{Answer, CONFIG, Call, FORGET, OVERRIDE, pair, single};

/// An empty service is taken out of the index if nobody has written to it for that long.
const FORGET_AFTER_US: f64 = 3.6e9;
/// So many services are asked at once.
const AT_ONCE: usize = 512;

/// Which configuration must be in force for a write to take effect.
#[derive(Clone, Copy)]
enum Expected {
    Any,
    Revision(u64),
    /// One of a history that the store has lost.
    Lost,
}

impl<I: ServiceInstance> RedisRegistry<I> {
    /// Writes a configuration, or removes it.
    async fn put_config(
        &self,
        service: &str,
        operation: &'static str,
        expected: Expected,
        config: Option<&ServiceConfig>,
    ) -> Result<(Answer, Revision), RegistryError> {
        let writer = &self.core.writer;
        let json = match config {
            Some(config) => {
                encode_config(config).map_err(|error| RegistryError::backend(operation, service, error))?
            }
            None => Vec::new(),
        };
        let expected = match expected {
            Expected::Any => String::new(),
            Expected::Revision(revision) => revision.to_string(),
            // No revision, so no configuration is at it.
            Expected::Lost => "lost".to_owned(),
        };
        let call = writer.call(&CONFIG, &writer.namespace.service(service)).arg(expected).arg(json);
        let answer = if config.is_some() {
            writer.write(service, operation, call).await?
        } else {
            let answer = writer.link.call(&call).await;
            answer.map_err(|error| RegistryError::backend(operation, service, error))?
        };
        let (answer, revision) = pair(&answer).ok_or_else(|| unexpected(operation, service))?;
        if answer == Answer::Done {
            self.core.seen(service, revision).await;
        }
        Ok((answer, revision))
    }

    /// Names and scores of the index.
    async fn index(&self) -> Result<Vec<(String, f64)>, ConnectionError> {
        let writer = &self.core.writer;
        let mut command = redis::cmd("ZRANGE");
        command.arg(writer.namespace.services()).arg(0).arg(-1).arg("WITHSCORES");
        let answer = writer.link.query(&command).await?;
        // A name that is no UTF-8 was not written by this library.
        let pairs: Vec<(Vec<u8>, f64)> = redis::from_redis_value(answer)
            .map_err(|_| ConnectionError::Unexpected { operation: "listing services" })?;
        Ok(pairs
            .into_iter()
            .filter_map(|(name, score)| Some((String::from_utf8(name).ok()?, score)))
            .collect())
    }

    async fn has_something(&self, service: &str) -> Result<bool, ConnectionError> {
        let writer = &self.core.writer;
        let keys = writer.namespace.service(service);
        let answer = writer.link.query(redis::cmd("EXISTS").arg(keys.instances()).arg(keys.config())).await?;
        let count: u64 = redis::from_redis_value(answer)
            .map_err(|_| ConnectionError::Unexpected { operation: "looking for a service" })?;
        Ok(count > 0)
    }
}

#[async_trait]
impl<I: ServiceInstance> ServiceRegistry<I> for RedisRegistry<I> {
    async fn register(&self, service: &str, instance: I) -> Result<(), RegistryError> {
        validate::service(service)?;
        validate::instance(service, instance.id())?;
        let generation = Generation::new(&*self.core.writer.random);
        let record = Record::new(instance, generation);
        let (_, revision) = self.core.writer.put(service, &record, generation, None, Mode::Any).await?;
        self.core.seen(service, revision).await;
        Ok(())
    }

    async fn announce(&self, service: &str, instance: I) -> Result<Announcement<I>, RegistryError> {
        validate::service(service)?;
        validate::instance(service, instance.id())?;
        self.core.announcer.announce(service, instance).await
    }

    async fn deregister(&self, service: &str, id: &str) -> Result<bool, RegistryError> {
        validate::service(service)?;
        Ok(self.core.writer.remove(service, id, None).await? == Answer::Done)
    }

    async fn set_override(&self, service: &str, id: &str, over: Override) -> Result<(), RegistryError> {
        validate::service(service)?;
        let writer = &self.core.writer;
        let json = if over == Override::NONE {
            Vec::new()
        } else {
            encode_override(&over).map_err(|error| RegistryError::backend("override", service, error))?
        };
        let call = writer.call(&OVERRIDE, &writer.namespace.service(service)).arg(id).arg(json);
        let answer = writer.link.call(&call).await;
        let answer = answer.map_err(|error| RegistryError::backend("override", service, error))?;
        match single(&answer).ok_or_else(|| unexpected("override", service))? {
            Answer::Done => Ok(()),
            _ => Err(RegistryError::UnknownInstance { service: service.into(), id: id.into() }),
        }
    }

    async fn set_config(&self, service: &str, config: ServiceConfig) -> Result<(), RegistryError> {
        validate::service(service)?;
        validate::config(service, &config)?;
        self.put_config(service, "configure", Expected::Any, Some(&config)).await.map(drop)
    }

    async fn compare_and_set_config(
        &self,
        service: &str,
        expected: Revision,
        config: ServiceConfig,
    ) -> Result<(), RegistryError> {
        validate::service(service)?;
        validate::config(service, &config)?;
        let stored = self.core.catalog.to_store(service, expected).map_or(Expected::Lost, Expected::Revision);
        let (answer, actual) = self.put_config(service, "configure", stored, Some(&config)).await?;
        match answer {
            Answer::Conflict => {
                let actual = self.core.catalog.from_store(service, actual.get());
                Err(RegistryError::Conflict { service: service.into(), expected, actual })
            }
            _ => Ok(()),
        }
    }

    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
        validate::service(service)?;
        let (answer, _) =
            self.put_config(service, "remove the configuration of", Expected::Any, None).await?;
        Ok(answer == Answer::Done)
    }

    async fn services(&self) -> Result<Vec<String>, RegistryError> {
        let failed = |error| RegistryError::backend("list services", "", error);
        let mut index = self.index().await.map_err(failed)?;
        index.retain(|(name, _)| self.core.catalog.keeps(name));
        let newest = index.iter().map(|(_, score)| *score).fold(0.0, f64::max);
        let (mut known, mut empty) = (Vec::new(), Vec::new());
        for names in index.chunks(AT_ONCE) {
            let asked = join_all(names.iter().map(|(name, _)| self.has_something(name))).await;
            for ((name, score), has_something) in names.iter().zip(asked) {
                if has_something.map_err(failed)? {
                    known.push(name.clone());
                } else if newest - score > FORGET_AFTER_US {
                    empty.push((name, *score));
                }
            }
        }
        if !empty.is_empty() {
            let mut call = Call::new(&FORGET, [self.core.writer.namespace.services()]);
            for (name, score) in empty {
                call = call.arg(name.as_bytes()).arg(format!("{score:.0}"));
            }
            // Tidying up is not what was asked for; who may only read cannot.
            let _ = self.core.writer.link.call(&call).await;
        }
        known.sort_unstable();
        Ok(known)
    }

    async fn watch(&self, service: &str) -> Result<SnapshotWatch<I>, RegistryError> {
        validate::service(service)?;
        // Counted before it is asked for, so that it is not let go in between.
        let watch = self.core.catalog.watch(service);
        if !self.core.catalog.keeps(service) {
            return Ok(watch);
        }
        // What is known from a cache, or from before an outage, is better than to wait.
        let known =
            watch.current().is_known() && self.core.writer.link.connected().borrow().session.is_none();
        if self.core.look(service, known).await? || watch.current().is_known() {
            return Ok(watch);
        }
        let last = self.core.writer.link.connected().borrow().last_error.as_ref().map(ToString::to_string);
        Err(RegistryError::backend("watch", service, ConnectionError::NotConnected { last }))
    }
}
