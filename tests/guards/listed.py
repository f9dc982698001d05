"""The list: what each guard keeps out, the words in the code that do it, what stands there without it, and who must notice.

``python -m tests.guards`` switches off one after the other in a copy of the project and tells which were missed.
"""

from __future__ import annotations

from typing import NamedTuple


class Guard(NamedTuple):
    """``old`` stands exactly once in ``file``; with ``new`` in its place the guard is off. ``tests`` = arguments for pytest."""

    keeps_out: str
    file: str
    old: str
    new: str
    tests: str


CONTRACT = "tests/contracts/test_venue_contract.py"
STATEFUL = "tests/contracts/test_stateful_books.py"

GUARDS = (
    # -- books: nothing lost, nothing foreign, nothing from before -----------------------------------------------------
    Guard("a lost message of a venue that numbers them (OKX)", "dope/venues/okx.py",
          "elif row.prevSeqId != last and not _continues(row, last):", "elif False:", f"{CONTRACT} -k dropping"),
    Guard("a lost message of a venue that numbers them (Bybit)", "dope/venues/_bybit_wire.py",
          "elif data.u != last + 1:", "elif False:", f"{STATEFUL} -k bybit"),
    Guard("a lost message of a venue that numbers them (Gate)", "dope/venues/_gate_wire.py",
          "elif last + 1 != data.U:", "elif False:", f"{STATEFUL} -k gate"),
    Guard("a lost message of a venue that numbers them (HTX)", "dope/venues/htx_linear.py",
          "elif levels.version != known.last + 1:", "elif False:", f"{STATEFUL} -k htx_linear"),
    Guard("a lost difference of a venue that numbers them (Binance's recipe)", "dope/venues/_depth_sync.py",
          'return self._broken(item, "sequence")', "pass", f"{CONTRACT} -k dropping"),
    Guard("a snapshot older than the differences that follow", "dope/venues/_depth_sync.py",
          "if kept and not self._overlaps(kept[0], snapshot_id):", "if False:", "tests/venues tests/feed tests/contracts -k snapshot"),
    Guard("numbers that begin anew without a word", "dope/venues/_depth_sync.py",
          "if self.old < OLD_IN_A_ROW:", "if True:", "tests/venues/test_depth_sync.py"),
    Guard("a late snapshot of a connection that is dead", "dope/venues/_differences.py",
          "        if frame.conn != known.conn:\n            return", "        if False:\n            return",
          "tests/venues/test_depth_sync.py"),
    Guard("what an old connection brings after a newer one", "dope/venues/_differences.py",
          "sync.synced and numbers[1] <= sync.last:", "False:", f"{CONTRACT} -k old_connection"),
    Guard("prices and sizes that are no positive numbers", "dope/venues/_written.py",
          "if not 0.0 < value < math.inf:", "if False:", "tests/contracts/test_parsers.py -k gets_in"),
    Guard("a level without its size that reads as one that is gone", "dope/venues/okx.py",
          "    FIELDS = 4 ", "    FIELDS = 0 ", "tests/sim/test_values.py -k okx"),
    Guard("a book that goes on without changes that nobody could read", "dope/venues/coinbase_exchange.py",
          "if b'\"l2update\"' in frame.data:", "if False:", "tests/sim/test_values.py -k coinbase_exchange"),
    Guard("volumes that are no numbers", "dope/venues/_written.py",
          "if not 0.0 <= value < math.inf:", "if False:", "tests/contracts/test_parsers.py -k gets_in"),
    Guard("levels of a connection that has ended", "dope/venues/_differences.py",
          "                self._books.closed(known)\n", "                pass\n", f"{CONTRACT} -k ghost"),
    Guard("subscriptions that nobody confirms", "dope/venues/base.py",
          "refusals.confirmed(topic)", "pass", "tests/contracts/test_refusals.py"),
    # -- books: states -------------------------------------------------------------------------------------------------
    Guard("a book whose checksum is wrong", "dope/market/market.py",
          "if book.checksum() != checksum & 0xFFFFFFFF:", "if False:", "tests/market/test_market.py -k checksum"),
    Guard("a venue whose checksums are wrong time and again", "dope/market/book.py",
          "if len(self.mismatches) < LIES:", "if True:", "tests/market/test_market.py -k wrong_checksums"),
    Guard("updates for a book that is not LIVE", "dope/market/market.py",
          "if book.suspended or not (was_live or snapshot or book.state in (CROSSED, STALE)):", "if False:",
          "tests/market/test_market.py -k alone_do_not_bring"),
    Guard("a bid at or above the ask", "dope/market/market.py",
          "if flags & kernel.CROSSED:\n                return", "if False:\n                return", "tests/test_engine.py -k crossed"),
    Guard("a crossed quote of the venue itself", "dope/market/market.py",
          "if quote.bid >= quote.ask > 0.0:", "if False:", "tests/market/test_market.py -k crossed_quote"),
    Guard("a quote that is older than the levels", "dope/market/book.py",
          "return quote.seq > self.seq if", "return True if", "tests/market/test_market.py -k older_quote"),
    Guard("a touch that moves by a factor of fifty at once", "dope/market/market.py",
          "if book.sigma_mid > 0.0 and not", "if False and not", "tests/market/test_market.py -k fifty"),
    Guard("a book of which nothing was heard", "dope/market/market.py",
          "if age > self.idle_ns[book.instrument.venue]:", "if False:", "tests/test_engine.py -k ticks_on"),
    Guard("a message that came late counted as new", "dope/market/market.py",
          "own = book.own_ts - book.excess", "own = book.own_ts", "tests/market/test_market.py -k came_late"),
    Guard("books that look fresh because our own loop was late", "dope/market/market.py",
          "                book.own_ts = 0\n", "                continue\n", "tests/test_engine.py -k late_loop"),
    Guard("a trade that is told twice", "dope/market/market.py",
          "if trade.trade_id in ids:", "if False:", "tests/market/test_market.py -k counted_once"),
    # -- opportunities -------------------------------------------------------------------------------------------------
    Guard("an opportunity with a leg that is too old", "dope/detectors/arbitrage.py",
          "return all(market.age(book, now) <= min(limit, book.rhythm.limit_ns()) for book in (buy, sell))", "return True",
          "tests/detectors/test_arbitrage.py -k too_old"),
    Guard("an opportunity that outlives its book", "dope/detectors/arbitrage.py",
          'return self._left(event, market) if event.state != "LIVE" else ()', "return ()", "tests/test_engine.py -k disconnect_closes"),
    Guard("sizes that no order can have", "dope/market/walk.py",
          "if lot > 0.0 and walk.qty > 0.0:", "if False:", "tests/market/test_walk.py tests/detectors/test_arbitrage.py -k lot"),
    Guard("sizes below the least that a venue takes", "dope/detectors/arbitrage.py",
          "if not pair.takes(walk):", "if walk is NOTHING:",
          "tests/detectors/test_arbitrage.py -k below_the_minimum"),
    Guard("profit before fees called profit", "dope/market/walk.py",
          "cost, proceeds = paid * (1.0 + fee_buy), got * (1.0 - fee_sell)", "cost, proceeds = paid, got",
          "tests/detectors/test_arbitrage.py tests/market/test_walk.py"),
    Guard("dollars of a bank taken for dollars of an issuer", "dope/detectors/arbitrage.py",
          "(instrument.base, instrument.quote, instrument.kind), []", '(instrument.base, "", instrument.kind), []',
          "tests/detectors/test_arbitrage.py -k same_currency"),
    # -- sockets -------------------------------------------------------------------------------------------------------
    Guard("a connection that says nothing", "dope/feed/link.py",
          "idle = self._rules.idle_s", "idle = 1e9", "tests/feed/test_connection.py -k trickle"),
    Guard("sockets whose peer does not answer the close", "dope/feed/transport.py",
          "self._transport.disconnect(False)", "pass", "tests/sim/test_links.py -k half_open"),
    Guard("a venue that wants nobody for a while asked by its other connections", "dope/feed/connection.py",
          "if trouble.all:", "if False:", "tests/feed/test_connection.py -k told_to_wait"),
    Guard("a crowd that was let go before the venue failed", "dope/feed/connection.py",
          'or self._desk.breaker.state != "open":', "or True:", "tests/feed/test_connection.py -k told_to_wait"),
    Guard("requests before Retry-After has passed", "dope/feed/fetch.py",
          "self._pace.ban(wait)", "pass", "tests/simulation/test_herd.py -k too_many_requests"),
    Guard("a pong taken for data", "dope/feed/link.py",
          'if len(data) >= PONG_BELOW or b"pong" not in data.lower():', "if True:", "tests/feed"),
    Guard("a storm of reconnects", "dope/feed/backoff.py",
          "self._base_s * 2.0 ** min(self.failures, 30)", "0.01", "tests/feed/test_backoff.py"),
    Guard("requests during a ban", "dope/feed/pace.py",
          "if now < self.banned_until:", "if False:", "tests/feed/test_fetch.py tests/feed/test_pace.py -k ban"),
    Guard("more requests than the venue allows", "dope/feed/pace.py",
          "        for at, spent in self._spent:\n", "        for at, spent in ():\n",
          "tests/feed/test_pace.py"),
    Guard("frames that waited here taken for new ones", "dope/feed/outbox.py",
          "        if late > 0:\n", "        if False:\n", "tests/feed/test_outbox.py -k late_loop"),
    # -- doors ---------------------------------------------------------------------------------------------------------
    Guard("a page that reaches us under a foreign host name", "dope/api/security.py",
          "            return 421\n", "            return 0\n", "tests/api/test_door.py -k host"),
    Guard("reading and writing from another site", "dope/api/security.py",
          "            return 403\n", "            return 0\n", "tests/api/test_door.py -k site"),
    Guard("pages of a browser at the control of the simulated market", "dope/sim/control.py",
          'elif b"origin" in headers or', "elif False and", "tests/sim/test_control.py -k pages"),
    Guard("a proxy before a host that is not this machine", "dope/sim/proxy.py",
          "if not _is_loopback(host):", "if False:", "tests/sim/test_proxy.py -k loopback"),
    Guard("writing to those who have gone", "dope/sim/port.py",
          "                continue  # gone, but", "                pass  # gone, but", "tests/sim/test_world.py -k written_to_no_more"),
    # -- currencies, loops and bases -------------------------------------------------------------------------------------
    Guard("an exchange of currencies that is too old", "dope/detectors/conversion.py",
          "if fresh(books, self.limit_ns(pair, each, market), market, now):", "if True:", "tests/detectors/test_conversion.py -k spoken"),
    Guard("the better side of an exchange of currencies", "dope/detectors/exchange.py",
          'terms[2].arriving(via.levels("ask", WALK_LEVELS))', 'terms[2].arriving(via.levels("bid", WALK_LEVELS))',
          "tests/detectors/test_conversion.py -k costs_its_ask"),
    Guard("an exchange of currencies without an end", "dope/detectors/exchange.py",
          "take = min(rest, left / coins)", "take = rest", "tests/detectors/test_conversion.py -k bottleneck"),
    Guard("a triangle through a book that is too old", "dope/detectors/triangles.py",
          "if not fresh(books, limit_ns(books, wall, self.arbitrage.rules.max_age_s), market, now):", "if False:",
          "tests/detectors/test_triangles.py -k spoken"),
    Guard("a triangle of orders that its venue would not take", "dope/detectors/triangles.py",
          "return found if self._large_enough(way, legs, found) else NO_ROUND", "return found",
          "tests/detectors/test_triangles.py -k less_than"),
    Guard("a coin that is off its peg for a moment", "dope/detectors/depeg.py",
          "if now - watched.turned >= self.parameters.hold * NS:", "if True:", "tests/detectors/test_depeg.py -k hold"),
    Guard("a settlement of funding that is over", "dope/detectors/carry.py",
          "    if known > now:", "    if known >= now:", "tests/detectors/test_basis.py -k settlements"),
    Guard("prices of a basis that nobody would get", "dope/detectors/basis.py",
          "return basis_bps(a[1], b[0]) if side > 0", "return basis_bps(a[0], b[0]) if side > 0",
          "tests/detectors/test_basis.py -k bought"),
    # -- records -------------------------------------------------------------------------------------------------------
    Guard("a damaged block of a recording", "dope/tape/format.py",
          "if len(payload) != head.length or crc32(payload) != head.crc:", "if False:", "tests/tape/test_format.py -k flipped"),
    Guard("a sealed file that is only half written", "dope/tape/seal.py",
          "path.with_name(path.name + DRAFT), path)", 'path.with_name(path.name + DRAFT), path.with_suffix(".x"))',
          "tests/tape/test_seal.py -k refuses"),
    Guard("a model file that somebody changed", "dope/shelf.py",
          "if not hmac.compare_digest(digest.encode(), self._hmac(data, source, meta).encode()):", "if False:",
          "tests/test_shelf.py -k tampered"),
    Guard("a model that learned from what it is judged on", "dope/model/evaluation.py",
          "train=past[label_t[past] <= times[low]]", "train=past", "tests/model/test_evaluation.py -k later_than"),
)  # fmt: skip
