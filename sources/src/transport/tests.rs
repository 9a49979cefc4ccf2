//! Tests of the whole path of a request, over a scripted wire with simulated time, and over real sockets.

mod held_up;
mod in_browser;
mod in_page;
mod over_sockets;
mod scripted;
mod several_at_once;
