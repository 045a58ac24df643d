//! Tests of the pages of paid votes: who is asked for what, and what nobody may be led to believe.

use crate::chain::ChainPage;
use crate::data::*;
use crate::fixture::*;
use crate::front::FrontPage;
use crate::list::ThreadList;
use crate::pages_test::{HOSTILE, assert_balanced, frame, html, thread_page};
use crate::payments::*;
use crate::payments_fixture::*;

fn payment(paid: &PaidVote, signed_in: bool) -> String {
    let page = html(&PaymentPage {
        frame: &frame(signed_in),
        paid,
        post: None,
    });
    assert_balanced(&page);
    page
}

fn front(threads: &Page<ThreadSummary>, sort: Sort) -> String {
    let list = ThreadList {
        path: "/",
        sort,
        threads,
        continued: false,
        boards: true,
    };
    html(&FrontPage {
        frame: &frame(false),
        boards: &[],
        list,
    })
}

#[test]
fn the_payer_is_shown_how_to_pay_and_nobody_else() {
    let own = payment(&awaited(), true);
    for words in [
        "href=\"bitcoin:bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr?amount=0.00002100\"",
        "<svg class=\"qr\">",
        "data-copy=\"address\"",
        "2,100 sats",
        "0.00002100 BTC",
        "Raw transaction",
        "Await it no longer",
        "money moved, not that it was spent",
    ] {
        assert!(own.contains(words), "{words} is missing");
    }
    let mut others = awaited();
    others.voter = author("Ada");
    for page in [payment(&awaited(), false), payment(&others, true)] {
        for words in [
            "bitcoin:",
            "class=\"qr\"",
            "<form class",
            "formaction=\"/payment",
        ] {
            assert!(!page.contains(words), "{words} is there");
        }
    }
}

#[test]
fn what_was_sent_is_not_asked_for_again() {
    for state in [PaymentState::Seen, PaymentState::Disconnected] {
        let page = payment(&PaidVote { state, ..awaited() }, true);
        let asks = page
            .find("Open in a wallet")
            .expect("it is there, folded away");
        let folded = page.find("<details><summary>Not sent after all?");
        assert!(folded.is_some_and(|at| at < asks), "{state:?}");
        assert!(page.contains("Raw transaction"), "{state:?}");
    }
    for state in [PaymentState::Confirmed, PaymentState::Settled] {
        let mut paid = PaidVote { state, ..awaited() };
        paid.due_sats = 700;
        let page = payment(&paid, true);
        assert!(page.contains("Open in a wallet") && page.contains("still to be paid"));
        assert!(page.contains("<code class=\"copy\" tabindex=\"0\">700</code>"));
        paid.due_sats = 0;
        let page = payment(&paid, true);
        assert!(!page.contains("Open in a wallet") && page.contains("/proof\">Proof</a>"));
    }
}

#[test]
fn links_to_pay_are_bitcoin_links_only() {
    let mut paid = awaited();
    paid.uri = Some("javascript:alert(1)".to_owned());
    let page = payment(&paid, true);
    assert!(!page.contains("href=\"javascript:") && !page.contains("Open in a wallet"));
}

#[test]
fn a_vote_that_nobody_else_holds_is_not_paid_without_a_warning() {
    let mut paid = awaited();
    (paid.address, paid.uri, paid.qr, paid.held_by) = (None, None, None, 0);
    paid.warnings = vec![format!("The key was changed {HOSTILE}")];
    let page = payment(&paid, true);
    assert!(page.contains("The address is not shown yet.") && page.contains("/anyway"));
    assert!(page.contains("The key was changed") && !page.contains("<script>alert"));
    assert!(!page.contains("Open in a wallet"));
    paid.warnings.clear();
    assert!(payment(&paid, true).contains("Wait before you pay."));
    // Held elsewhere, and still no address: the warnings say why, and nothing is shown anyway.
    paid.held_by = 1;
    assert!(!payment(&paid, true).contains("/anyway"));
}

#[test]
fn every_state_is_told_in_a_sentence() {
    let table = [
        (PaymentState::Unpaid, "Not paid yet."),
        (PaymentState::Seen, "handed to this node"),
        (PaymentState::Confirmed, "2 of 6 confirmations"),
        (PaymentState::Settled, "Settled: 2 confirmations."),
        (PaymentState::Disconnected, "its block was replaced"),
        (PaymentState::False, "the proof proves nothing"),
        (PaymentState::Unchecked, "this node can&#39;t check it"),
    ];
    for (state, words) in table {
        let mut paid = paid_vote("x", "Ada", state);
        paid.why = Some(format!("because {HOSTILE}"));
        for signed_in in [false, true] {
            let page = payment(&paid, signed_in);
            assert!(page.contains(words), "{state:?}: {words}");
            assert!(page.contains("Because") && !page.contains("<script>alert"));
            assert!(page.contains("data-refresh=") && page.contains(">Refresh</a>"));
        }
    }
}

#[test]
fn a_test_chain_is_said_to_be_worth_nothing() {
    let mut paid = awaited();
    assert!(!payment(&paid, true).contains("worth nothing"));
    paid.network = "testnet4".to_owned();
    assert!(payment(&paid, true).contains("on testnet4, a test chain: worth nothing"));
}

#[test]
fn the_payments_of_a_post_say_what_counts_and_why_not() {
    let mut post = thread().posts[0].clone();
    post.paid = Some(Paid {
        sats: 2_100,
        pending_sats: 2_100,
        votes: 4,
        false_votes: 1,
        ..Paid::default()
    });
    let payments = payments();
    let page = html(&PostPaymentsPage {
        frame: &frame(false),
        post: &post,
        payments: &payments,
    });
    assert_balanced(&page);
    for words in [
        "to self",
        "superseded",
        "0 counted",
        "The output pays another key",
        "its block was replaced",
        ">false</span>",
        "<td class=\"n\">144</td>",
        "<small>board</small>",
        MEANING,
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
    assert!(!page.contains("/pay/"), "strangers are not offered to pay");
}

#[test]
fn sums_stand_on_posts_and_in_lists() {
    let mut thread = thread();
    thread.posts[0].paid = Some(Paid {
        sats: 2_100,
        pending_sats: 500,
        votes: 3,
        false_votes: 1,
        ..Paid::default()
    });
    let page = thread_page(&thread, false);
    for words in ["2,100 sats verified", "500 sats pending", "1 false proof"] {
        assert!(page.contains(words), "{words} is missing");
    }
    let id = &thread.posts[0].id;
    assert!(page.contains(&format!("href=\"/payments/{id}\"")));
    assert!(!page.contains("/pay/"), "strangers are not offered to pay");
    assert!(thread_page(&thread, true).contains(&format!("href=\"/pay/{id}\"")));

    let mut threads = threads();
    threads.items[0].paid = Some(Paid {
        votes: 3,
        unchecked_votes: 2,
        uncounted_votes: 1,
        ..Paid::default()
    });
    let page = front(&threads, Sort::Sats);
    assert!(page.contains("2 paid votes, not checked here"));
    assert!(page.contains("1 paid vote, not counted"));
    assert!(page.contains("?sort=sats\" aria-current=\"true\">Sats</a>") && page.contains(MEANING));
    assert!(!front(&threads, Sort::Top).contains(MEANING));
}

#[test]
fn what_is_not_paid_is_folded_except_for_its_author() {
    let mut thread = thread();
    let id = thread.posts[1].id.clone();
    thread.posts[1].unpaid_price = Some(500);
    let page = thread_page(&thread, true);
    assert!(page.contains("Not paid yet: 500 sats to post here"));
    assert!(page.contains(&format!("class=\"post hid\" id=\"{id}\"")));
    thread.posts[1].unpaid_price = None;
    thread.posts[1].claimed_price = Some(500);
    assert!(thread_page(&thread, false).contains("500 sats were paid to post this here"));
    thread.posts[1].claimed_price = None;
    thread.posts[1].own_price = Some(500);
    let page = thread_page(&thread, true);
    assert!(!page.contains("Not paid yet") && !page.contains(&format!("hid\" id=\"{id}\"")));
    let pay = format!("/pay/{id}?to=board&amp;sats=500");
    assert!(page.contains(&pay) && !thread_page(&thread, false).contains(&pay));

    let mut threads = threads();
    for thread in &mut threads.items {
        thread.unpaid_price = Some(500);
    }
    let page = front(&threads, Sort::Hot);
    assert!(page.contains("Not paid yet: 500 sats to post here"));
    assert!(!page.contains("A heron lands") && !page.contains("class=\"thumb"));
}

#[test]
fn the_dialog_offers_whom_can_be_paid() {
    let post = thread().posts[0].clone();
    let mut choices = choices();
    choices[1].has_key = false;
    choices[1].why = Some(HOSTILE.to_owned());
    let draft = PayDraft {
        sats: HOSTILE,
        to: Some(PayTo::Author),
        is_down: true,
    };
    let dialog = |choices: &[PayChoice]| {
        let page = html(&PayPage {
            frame: &frame(true),
            post: &post,
            choices,
            draft,
            problem: Some(HOSTILE),
        });
        assert_balanced(&page);
        assert!(!page.contains("<script>alert"));
        page
    };
    let page = dialog(&choices);
    for words in [
        "<option value=\"author\" selected>",
        "<option value=\"board\" disabled>",
        "<option value=\"-1\" selected>",
        "costs strangers 500 sats",
        "no money and no secret",
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
    choices[0].has_key = false;
    assert!(dialog(&choices).contains("Nobody can be paid for this post."));
}

#[test]
fn the_owner_sees_what_is_awaited_and_received() {
    let received = [Received {
        vote: cid("vote"),
        outpoint: format!("{}:1", "ef".repeat(32)),
        sats: 2_100,
        state: PaymentState::Settled,
        ..Received::default()
    }];
    let show = |payments: &[PaidVote], received: &[Received], chain: &ChainStatus| {
        let page = html(&PaymentsPage {
            frame: &frame(true),
            payments,
            received,
            key: None,
            chain,
        });
        assert_balanced(&page);
        page
    };
    let page = show(&[awaited()], &received, &chain());
    for words in [
        "1 vote is unpaid",
        "2,100 sats confirmed",
        "datt pay keys",
        ">Pay</a>",
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
    let page = show(&[], &[], &ChainStatus::default());
    for words in [
        "payments.network",
        "publish a payment key",
        "disabled>Make a batch",
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
}

#[test]
fn a_batch_shows_every_output_and_what_it_leaves_out() {
    let batch = Batch {
        psbt: "cHNidP8=".to_owned(),
        outputs: vec![BatchOutput {
            address: None,
            script_hex: "6a2464617474".to_owned(),
            sats: 0,
        }],
        votes: vec![cid("vote")],
        total_sats: 12_345,
        left_out: vec![LeftOut {
            vote: cid("other"),
            why: HOSTILE.to_owned(),
        }],
        ..Batch::default()
    };
    let page = html(&BatchPage {
        frame: &frame(true),
        batch: &batch,
    });
    assert_balanced(&page);
    for words in ["cHNidP8=", "6a2464617474", "12,345", "Left out"] {
        assert!(page.contains(words), "{words} is missing");
    }
    assert!(!page.contains("<script>alert"));
}

#[test]
fn the_chain_says_when_it_can_not_be_relied_on() {
    let show = |chain: &ChainStatus| {
        let page = html(&ChainPage {
            frame: &frame(true),
            chain,
        });
        assert_balanced(&page);
        page
    };
    let mut chain = chain();
    let page = show(&chain);
    for words in [
        "912,345",
        "nakamoto",
        "restarted 1 time",
        "no peer answered",
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
    assert!(!page.contains("> behind<") && !page.contains("too little work"));
    chain.has_minimum_work = false;
    chain.warnings = vec![HOSTILE.to_owned()];
    if let Some(tip) = &mut chain.tip {
        tip.time_s -= 24 * 3600;
    }
    let page = show(&chain);
    assert!(page.contains("> behind<") && page.contains("too little work yet"));
    assert!(!page.contains("<script>alert"));
    assert!(show(&ChainStatus::default()).contains("No chain is followed."));
}
