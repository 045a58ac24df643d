//! A ticket that reads, written and read again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Ticket;

fuzz_target!(|text: &str| {
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.to_string().parse::<Ticket>(), Ok(ticket));
    }
});
