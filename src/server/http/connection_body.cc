// The part of Connection that takes in a request's body.
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "server/http/connection.h"
#include "server/http/io_thread.h"

namespace tessera::server::http {
namespace {

// A compressed piece may unpack to a thousand times its size.
constexpr std::size_t kPackedRead = 4096;
constexpr std::size_t kPlacesPerRead = 64;
// What is left of a refused request's body is skipped up to this size; beyond it the connection is closed.
constexpr std::uint64_t kSkippedBody = 256 * 1024;

}  // namespace

bool Connection::rest_can_be_skipped() const {
  return !exchange_->head.chunked && exchange_->body_left <= kSkippedBody;
}

void Connection::fail(const Error& error) {
  if (rest_can_be_skipped()) {
    exchange_->refusal = error_answer(error);
  } else {
    refuse_and_close(error_answer(error));
  }
}

// Each take_ function returns whether the request is complete (or answered already); false: wait for more.
bool Connection::take_sized_body(bool& may_receive, std::size_t& budget) {
  Exchange& exchange = *exchange_;
  while (state_ == State::kBody) {
    if (exchange.body_left > 0 && !available_.empty()) {
      const std::string_view piece =
          available_.substr(0, std::min<std::uint64_t>(exchange.body_left, available_.size()));
      use(piece.size());
      exchange.body_left -= piece.size();
      if (!exchange.refusal) {
        if (const Status given = exchange.payload(std::as_bytes(std::span(piece))); !given.ok()) {
          fail(given.error());
        }
      }
      continue;
    }
    if (exchange.body_left == 0) {
      request_complete();
      return true;
    }
    if (!may_receive || budget == 0) {
      return false;
    }
    if (!receive_into_tensors(may_receive, budget) && !receive_piece(may_receive, budget)) {
      return false;
    }
  }
  return state_ != State::kClosed;
}

// Reads from the socket to where the tensors lie. Returns false where the next bytes do not belong there.
bool Connection::receive_into_tensors(bool& may_receive, std::size_t& budget) {
  Exchange& exchange = *exchange_;
  std::array<iovec, kPlacesPerRead> places;
  if (exchange.refusal) {
    return false;
  }
  const auto gathered = exchange.gather(places);
  if (!gathered.ok()) {
    fail(gathered.error());
    return true;
  }
  std::size_t count = *gathered;
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < count; ++i) {
    places[i].iov_len = std::min(places[i].iov_len, budget - wanted);
    wanted += places[i].iov_len;
    if (wanted == budget) {
      count = i + 1;
    }
  }
  if (wanted == 0) {
    return false;
  }
  const ssize_t received = ::readv(watch_.descriptor(), places.data(), static_cast<int>(count));
  if (received < 0 && (would_block() || errno == EINTR)) {
    may_receive = false;
    return true;
  }
  if (received <= 0) {
    close();
    return true;
  }
  const auto bytes = static_cast<std::size_t>(received);
  may_receive = bytes == wanted;
  budget -= bytes;
  exchange.body_left -= bytes;
  if (const Status arrived = exchange.arrived(bytes); !arrived.ok()) {
    fail(arrived.error());
  }
  return true;
}

bool Connection::receive_piece(bool& may_receive, std::size_t& budget) {
  const Exchange& exchange = *exchange_;
  const bool packed = exchange.head.content_coding != Coding::kIdentity;
  std::uint64_t limit = packed ? kPackedRead : thread_.scratch().size();
  if (!exchange.head.chunked) {
    limit = std::min(exchange.next_payload(limit), exchange.body_left);
  }
  const Received received = receive(static_cast<std::size_t>(limit));
  may_receive = received == Received::kFull;
  if (received == Received::kGone) {
    close();
  }
  budget -= std::min(budget, static_cast<std::size_t>(limit) * (packed ? 8 : 1));
  return received != Received::kGone && received != Received::kNothing;
}

bool Connection::take_chunked_body(bool& may_receive, std::size_t& budget) {
  while (true) {
    if (!available_.empty()) {
      const auto used = exchange_->chunked_text(available_);
      if (!used.ok()) {
        refuse_and_close(error_answer(used.error()));
        return true;
      }
      use(*used);
      if (exchange_->chunks_done()) {
        request_complete();
        return true;
      }
    }
    if (!may_receive || budget == 0 || !receive_piece(may_receive, budget)) {
      return false;
    }
  }
}

}  // namespace tessera::server::http
