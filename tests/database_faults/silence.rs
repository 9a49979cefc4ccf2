//! A silent connection: no reset arrives and every keepalive is answered, but the server sends no data. No wait is
//! endless.

use std::sync::Arc;
use std::time::Duration;

use ::actors::child::{Child, ExitReason};
use ::actors::loader_actor::{LoaderActor, WriterSettings};
use ::actors::messages::{BatchSettled, OnStore};
use ::actors::persistent_writer::DatabaseWait;
use ::actors::store_session::WriterAccess;
use actix::{Actor, Context, Handler};
use schema::back_off::BackOff;
use schema::doubt::DoubtLimits;
use schema::precedence::Precedence;
use sources::transport::AskingLease;
use store::{Retention, ScheduleFacts, Writer};
use tokio::sync::watch;

use crate::world::{Act, Database, DatabaseProxy};

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<BatchSettled> for Nobody {
    type Result = ();

    fn handle(&mut self, _settled: BatchSettled, _context: &mut Self::Context) {}
}

/// A2: a statement gets no answer while the connection stays open. After half an hour of simulated time the loader
/// closes the connection and repeats the work on a new one. The actor is not restarted.
#[actix::test]
async fn a_statement_that_is_never_answered_is_given_up_and_done_again() {
    let database = Database::create().await;
    let proxy = DatabaseProxy::before(&database.url()).await;
    let mut met = false;
    proxy.rule(move |asked| {
        let stall = !met && asked.text.contains("FROM runner.cycle");
        met |= stall;
        stall.then_some(Act::Stall)
    });
    let (_stop, stopped) = watch::channel(false);
    let waits_for = DatabaseWait::default();
    let settings = WriterSettings {
        access: WriterAccess {
            database: proxy.url(),
            retention: Retention::USUAL,
            doubt_limits: DoubtLimits::USUAL,
            precedence: Precedence::default(),
        },
        lock_patience: Duration::from_secs(10),
        back_off: BackOff::new(Duration::from_millis(10), Duration::from_millis(10)),
        refusal_patience: Duration::from_secs(10),
        revive: None,
    };
    let (exited, mut exit) = watch::channel(None::<ExitReason>);
    let shown = Arc::clone(&waits_for);
    let nobody = Nobody.start();
    let loader = Child::start(
        4,
        move |slip| {
            LoaderActor::new(
                settings,
                None,
                nobody.recipient(),
                shown,
                stopped,
                slip,
                AskingLease::default(),
            )
        },
        move |reason| drop(exited.send(Some(reason))),
    );
    let work = OnStore {
        what: "reading the schedule",
        op: Arc::new(async |writer: &mut Writer| writer.schedule_facts().await),
    };
    let answer = actix::spawn(loader.address.send(work));
    while proxy.acts().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(29 * 60)).await;
    assert!(!answer.is_finished(), "a slow server is given its time");
    tokio::time::advance(Duration::from_secs(2 * 60)).await;
    tokio::time::resume();
    let facts = tokio::time::timeout(Duration::from_secs(20), answer)
        .await
        .expect("the work is done again on a fresh connection")
        .expect("its task lives")
        .expect("the loader lives")
        .expect("the work is done");
    assert_eq!(facts, ScheduleFacts::default());
    assert_eq!(*exit.borrow_and_update(), None, "the loader has ended");
}
