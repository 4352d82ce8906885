#include "server/http/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "server/http/body/json_text.h"
#include "server/http/io_thread.h"

namespace tessera::server::http {
namespace {

// Read at once when a head is awaited: enough for a small request, little of a large one (it has to be copied).
constexpr std::size_t kHeadRead = 4096;
// After so many bytes of one body others on the thread get their turn.
constexpr std::size_t kTurnBytes = 512 * 1024;
constexpr int kTurnRequests = 16;
// What a client may send ahead of its answers.
constexpr std::size_t kReadAhead = 64 * 1024;
constexpr std::size_t kKeptCapacity = 8192;

Answer answer_of(const Refusal& refusal) {
  Answer answer;
  answer.status = refusal.status;
  answer.body = error_json(refusal.message);
  answer.allow = refusal.allow;
  return answer;
}

}  // namespace

Connection::Connection(IoThread& thread, int socket) : thread_(thread), watch_(thread.loop(), socket) {}
Connection::~Connection() = default;

void Connection::start(std::size_t slot) {
  slot_ = slot;
  turn(true);
}

void Connection::close() {
  if (state_ == State::kClosed) {
    return;
  }
  const State before = std::exchange(state_, State::kClosed);
  if (exchange_ != nullptr) {
    if (before == State::kBusy && exchange_->call != nullptr) {
      thread_.backend().cancel(*exchange_->call);
    }
    thread_.give_exchange(std::move(exchange_));
  }
  pending_ = {};
  available_ = {};
  watch_.close();
  thread_.remove(slot_);
}

void Connection::drain() {
  switch (state_) {
    case State::kHead:
      if (pending_.empty()) {
        close();
        return;
      }
      break;
    case State::kBody:
      break;
    case State::kLinger:
      close();
      return;
    case State::kBusy:
    case State::kPacking:
    case State::kWriting:
    case State::kClosed:
      return;
  }
  refuse_and_close(error_answer(unavailable("the server is stopping")));
  turn(false);
}

void Connection::arm() {
  if (!armed_) {
    armed_ = true;
    watch_.wait_readable(shared_from_this());
  }
}

void Connection::go_on_later() {
  if (!std::exchange(posted_, true)) {
    thread_.loop().post(shared_from_this());
  }
}

void Connection::set_deadline(std::chrono::milliseconds from_now) {
  thread_.set_deadline(slot_, from_now.count() > 0 ? add_saturating(now(), from_now) : kNever);
}

void Connection::deadline_passed() {
  switch (state_) {
    case State::kHead:
      if (pending_.empty()) {
        close();
        return;
      }
      refuse_and_close({408, error_json("the request's head did not arrive in time"), {}});
      break;
    case State::kBody:
      refuse_and_close({408, error_json("the request's body did not arrive in time"), {}});
      break;
    case State::kBusy:
    case State::kPacking:
    case State::kClosed:
      return;
    case State::kWriting:
    case State::kLinger:
      close();
      return;
  }
  turn(false);
}

// ---- Receiving ----

bool Connection::would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

Connection::Received Connection::receive(std::size_t limit) {
  stash();
  const std::span<char> scratch = thread_.scratch();
  const ssize_t count = ::recv(watch_.descriptor(), scratch.data(), std::min(limit, scratch.size()), MSG_DONTWAIT);
  if (count < 0) {
    return would_block() || errno == EINTR ? Received::kNothing : Received::kGone;
  }
  if (count == 0) {
    return Received::kGone;
  }
  const std::string_view fresh(scratch.data(), static_cast<std::size_t>(count));
  available_ = pending_.empty() ? fresh : std::string_view(pending_.append(fresh));
  return fresh.size() < limit ? Received::kSome : Received::kFull;
}

// Makes pending_ hold exactly what is available, since the scratch is everybody's.
void Connection::stash() {
  if (available_.empty()) {
    pending_.clear();
    if (pending_.capacity() > kKeptCapacity) {
      pending_.shrink_to_fit();
    }
  } else if (available_.data() >= pending_.data() && available_.data() < pending_.data() + pending_.size()) {
    pending_.erase(0, static_cast<std::size_t>(available_.data() - pending_.data()));
  } else {
    pending_.assign(available_);
  }
  available_ = pending_;
}

void Connection::readable() {
  armed_ = false;
  switch (state_) {
    case State::kHead:
    case State::kBody:
      turn(true);
      break;
    case State::kBusy:
    case State::kPacking:
      read_ahead();
      break;
    case State::kLinger:
      throw_away();
      break;
    case State::kWriting:
    case State::kClosed:
      break;
  }
}

// While an answer is computed: notices that the peer goes away, and takes what it sends ahead.
void Connection::read_ahead() {
  available_ = pending_;
  const Received received = receive(kHeadRead);
  if (received == Received::kGone) {
    close();
    return;
  }
  settle();
}

void Connection::throw_away() {
  const std::span<char> scratch = thread_.scratch();
  for (std::size_t budget = kTurnBytes; budget > 0;) {
    const ssize_t count = ::recv(watch_.descriptor(), scratch.data(), std::min(budget, scratch.size()), MSG_DONTWAIT);
    if (count <= 0) {
      if (count == 0 || !would_block()) {
        close();
        return;
      }
      break;
    }
    budget -= static_cast<std::size_t>(count);
  }
  arm();
}

// ---- One request after the other ----

void Connection::turn(bool may_receive) {
  available_ = pending_;
  std::size_t budget = kTurnBytes;
  for (int requests = 0; requests < kTurnRequests;) {
    bool went_on = false;
    if (state_ == State::kHead) {
      went_on = take_head(may_receive);
    } else if (state_ == State::kBody) {
      went_on = exchange_->head.chunked ? take_chunked_body(may_receive, budget) : take_sized_body(may_receive, budget);
      requests += went_on ? 1 : 0;
    }
    if (!went_on) {
      settle();
      return;
    }
  }
  stash();
  go_on_later();
}

// Waits for what the state waits for.
void Connection::settle() {
  if (state_ == State::kClosed) {
    return;
  }
  stash();
  switch (state_) {
    case State::kHead:
      if (pending_.empty()) {
        set_deadline(thread_.options().idle_time);
      } else if (!std::exchange(timed_, true)) {
        set_deadline(thread_.options().head_time);
      }
      arm();
      break;
    case State::kBody:
      if (!std::exchange(timed_, true)) {
        set_deadline(thread_.options().body_time);
      }
      arm();
      break;
    case State::kBusy:
    case State::kPacking:
      thread_.set_deadline(slot_, kNever);
      if (pending_.size() < kReadAhead) {
        arm();
      }
      break;
    case State::kLinger:
      arm();
      break;
    case State::kWriting:
    case State::kClosed:
      break;
  }
}

bool Connection::take_head(bool& may_receive) {
  // Empty lines in front of a request are allowed.
  while (available_.substr(0, 2) == "\r\n") {
    use(2);
  }
  if (const auto end = head_end(available_); end && *end <= kMaxHeadBytes) {
    const std::string_view head_text = available_.substr(0, *end);
    use(*end);
    begin_request(head_text);
    return true;
  }
  if (available_.size() > kMaxHeadBytes) {
    refuse_and_close(answer_of({431, "the request's head is larger than " + std::to_string(kMaxHeadBytes) + " bytes"}));
    return true;
  }
  if (!may_receive) {
    return false;
  }
  const Received received = receive(kHeadRead);
  may_receive = received == Received::kFull;
  if (received == Received::kGone) {
    close();
    return false;
  }
  return received != Received::kNothing;
}

void Connection::begin_request(std::string_view head_text) {
  auto parsed = parse_head(head_text);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) {
    refuse_and_close(answer_of(*refusal));
    return;
  }
  const auto& head = std::get<RequestHead>(parsed);
  auto found = find_route(head.method, head.target);
  ++request_;
  must_close_ = false;
  timed_ = false;
  exchange_ = thread_.take_exchange();
  if (auto* route = std::get_if<Route>(&found)) {
    exchange_->start(head, std::move(*route), head_text);
  } else {
    exchange_->start(head, Route{}, head_text);
    exchange_->refusal = answer_of(std::get<Refusal>(found));
  }
  const std::uint64_t limit = thread_.options().max_body.value;
  if (exchange_->body_left > limit) {
    exchange_->refusal = answer_of({413, "the body is larger than the limit of " + std::to_string(limit) + " bytes"});
  }
  state_ = State::kBody;
  const bool all_here = !head.chunked && exchange_->body_left <= available_.size();
  if (exchange_->refusal && (!rest_can_be_skipped() || (head.expects_continue && !all_here))) {
    refuse_and_close(*std::move(exchange_->refusal));
  } else if (head.expects_continue && !all_here) {
    send_continue();
  }
}

void Connection::send_continue() {
  // A few bytes into an empty socket buffer; where that fails the connection is broken, and reading will tell.
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  const ssize_t sent = ::send(watch_.descriptor(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  static_cast<void>(sent);
}

}  // namespace tessera::server::http
