// The second half of Connection: from a complete request to its answer on the socket.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "server/http/body/infer_encoder.h"
#include "server/http/connection.h"
#include "server/http/io_thread.h"
#include "server/outputs.h"
#include "server/status.h"

namespace tessera::server::http {
namespace {

// Smaller answers gain nothing from being packed.
constexpr std::size_t kMinPacked = 1024;
// Packed in one go; between pieces others on the thread get their turn.
constexpr std::size_t kPackPiece = 64 * 1024;
constexpr std::chrono::milliseconds kLingerTime{2000};

// Holds the connection weakly: whoever answers may outlive the front end, which a connection must not.
class ControlReply final : public Task {
 public:
  ControlReply(std::weak_ptr<Connection> connection, std::uint64_t request, Answer answer)
      : connection_(std::move(connection)), request_(request), answer_(std::move(answer)) {}
  void run() override {
    if (const auto connection = connection_.lock()) {
      connection->control_answered(request_, answer_);
    }
  }

 private:
  const std::weak_ptr<Connection> connection_;
  const std::uint64_t request_;
  Answer answer_;
};

}  // namespace

void Connection::request_complete() {
  if (exchange_->refusal) {
    send(*std::move(exchange_->refusal));
  } else if (exchange_->route.endpoint == Endpoint::kInfer) {
    submit_inference();
  } else {
    submit_control();
  }
}

void Connection::submit_inference() {
  auto call = std::make_shared<InferenceCall>(thread_.gate(), shared_from_this());
  const Status finished = exchange_->finish_inference(*call);
  if (const std::uint64_t copied = exchange_->copied_tensor_bytes(); copied > 0) {
    thread_.backend().count_copied(Bytes{copied});
  }
  if (!finished.ok()) {
    call->forget_caller();
    send(error_answer(inference_error(finished.error(), call->request.id)));
    return;
  }
  call->request.arrival = now();
  exchange_->call = call;
  state_ = State::kBusy;
  call->begin_submitting();
  thread_.backend().infer(call);
  if (call->end_submitting()) {
    deliver(*call);
  }
}

void Connection::submit_control() {
  auto body = exchange_->finish_control();
  if (!body.ok()) {
    send(error_answer(body.error()));
    return;
  }
  state_ = State::kBusy;
  thread_.backend().control(exchange_->route, exchange_->head.method, *std::move(body),
                            [gate = thread_.gate(), self = weak_from_this(), request = request_](Answer answer) {
                              gate->post(std::make_shared<ControlReply>(self, request, std::move(answer)));
                            });
}

void Connection::control_answered(std::uint64_t request, const Answer& answer) {
  if (state_ == State::kBusy && request == request_) {
    send(answer);
    turn(false);
  }
}

void Connection::answered(InferenceCall& call) {
  if (state_ == State::kBusy && exchange_->call.get() == &call) {
    deliver(call);
    turn(false);
  }
}

void Connection::deliver(InferenceCall& call) {
  Exchange& exchange = *exchange_;
  const auto kept = std::move(exchange.call);
  call.forget_caller();
  TESSERA_CHECK(call.result.has_value());
  if (!call.result->ok()) {
    send(error_answer(inference_error(call.result->error(), call.request.id)));
    return;
  }
  const InferResponse& response = **call.result;
  auto outputs = finish_outputs(response, call.form.outputs, call.instance.get(), thread_.backend().shared_memory());
  if (!outputs.ok()) {
    send(error_answer(inference_error(outputs.error(), call.request.id)));
    return;
  }
  exchange.outputs = *std::move(outputs);
  const Status encoded =
      encode_answer(response, call.request.id, exchange.outputs, call.form, exchange.out.body, exchange.out.tensors);
  if (!encoded.ok()) {
    exchange.out.clear();
    send(error_answer(inference_error(encoded.error(), call.request.id)));
    return;
  }
  exchange.out.memory = response.memory;
  exchange.answer = {};
  if (!exchange.out.tensors.empty()) {
    exchange.answer.content_type = "application/octet-stream";
    exchange.answer.json_length = exchange.out.body.size();
  }
  send_prepared();
}

// Answers at once and closes: what of the request is still to come cannot be understood, or is not worth waiting for.
void Connection::refuse_and_close(const Answer& answer) {
  if (exchange_ == nullptr) {
    ++request_;
    exchange_ = thread_.take_exchange();
    exchange_->head = {};
  }
  must_close_ = true;
  send(answer);
}

void Connection::send(const Answer& answer) {
  exchange_->answer = {};
  exchange_->answer.status = answer.status;
  exchange_->answer.retry_after = answer.retry_after;
  exchange_->answer.allow = answer.allow;
  exchange_->out.body = answer.body;
  send_prepared();
}

void Connection::send_prepared() {
  Exchange& exchange = *exchange_;
  if (exchange.head.accepts != Coding::kIdentity && exchange.head.method != Method::kHead &&
      exchange.out.body_bytes() >= kMinPacked) {
    exchange.answer.coding = exchange.head.accepts;
    exchange.packer = std::make_unique<Deflater>(exchange.head.accepts);
    state_ = State::kPacking;
    pack_some();
  } else {
    write_answer();
  }
}

void Connection::run() {
  posted_ = false;
  if (state_ == State::kPacking) {
    pack_some();
  }
  turn(false);
}

void Connection::turn_ends() {
  if (state_ == State::kWriting) {
    flush();
    turn(false);
  }
}

void Connection::pack_some() {
  Exchange& exchange = *exchange_;
  Outgoing& out = exchange.out;
  // The piece at packed_from, in the body or in one of the tensors behind it.
  std::size_t skip = exchange.packed_from;
  std::span<const std::byte> piece = std::as_bytes(std::span(out.body));
  for (std::size_t i = 0; skip >= piece.size() && i < out.tensors.size(); ++i) {
    skip -= piece.size();
    piece = out.tensors[i];
  }
  piece = piece.subspan(skip, std::min(piece.size() - skip, kPackPiece));
  exchange.packed_from += piece.size();
  const bool last = exchange.packed_from == out.body_bytes();
  exchange.packer->write(piece, last, exchange.packed);
  if (!last) {
    go_on_later();
    return;
  }
  exchange.packer.reset();
  out.body.swap(exchange.packed);
  out.tensors.clear();
  out.memory.reset();
  write_answer();
}

void Connection::write_answer() {
  Exchange& exchange = *exchange_;
  exchange.answer.content_length = exchange.out.body_bytes();
  exchange.answer.http11 = exchange.head.http11;
  exchange.answer.keep_alive = exchange.head.keep_alive && !must_close_ && !thread_.draining();
  append_answer_head(exchange.out.head, exchange.answer);
  exchange.out.seal(exchange.head.method != Method::kHead);
  state_ = State::kWriting;
  if (available_.empty()) {
    // Together with the answers of others that are ready now. A write wakes its client, which then often takes the core
    // (and its caches) from requests that have yet to be served.
    thread_.loop().at_turn_end(shared_from_this());
  } else {
    flush();
  }
}

void Connection::flush() {
  switch (exchange_->out.flush(watch_.descriptor())) {
    case Outgoing::Progress::kSent:
      answer_sent();
      break;
    case Outgoing::Progress::kBlocked:
      set_deadline(thread_.options().write_time);
      watch_.wait_writable(shared_from_this());
      break;
    case Outgoing::Progress::kBroken:
      close();
      break;
  }
}

void Connection::writable() {
  if (state_ == State::kWriting) {
    flush();
    turn(false);
  }
}

void Connection::answer_sent() {
  const bool keep = exchange_->answer.keep_alive && !thread_.draining();  // it may have begun since that was said
  thread_.give_exchange(std::move(exchange_));
  timed_ = false;
  if (keep) {
    state_ = State::kHead;
    return;
  }
  state_ = State::kLinger;
  ::shutdown(watch_.descriptor(), SHUT_WR);
  set_deadline(kLingerTime);
  if (thread_.draining()) {
    throw_away();  // closing with unread bytes would take the answer away again
    close();
  }
}

}  // namespace tessera::server::http
