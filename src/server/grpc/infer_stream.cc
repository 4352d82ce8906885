#include "server/grpc/infer_stream.h"

#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "server/grpc/infer_exchange.h"
#include "server/grpc/open_streams.h"

namespace tessera::server {
namespace {

using ::grpc::ByteBuffer;

class InferStream;

// One request of a stream with the place that its answer has in the order.
class StreamedInfer final : public InferExchange {
 public:
  StreamedInfer(Backend& backend, std::shared_ptr<InferStream> stream)
      : InferExchange(backend), stream_(std::move(stream)) {}

  // Whether `request` is ready for the service; otherwise its answer is there.
  bool read(const ByteBuffer& message) {
    const Status status = decode(message);
    if (!status.ok()) answer_error(status.error());
    return status.ok();
  }

  void done(Result<InferResponse> result) noexcept override;

  // Under the stream's lock.
  bool answered = false;
  std::vector<ByteBuffer> messages;

 private:
  void answer_error(const Error& error) {
    messages.resize(1);
    encode_stream_error(named(error).message(), request.model, request.id, messages.front());
  }

  const std::shared_ptr<InferStream> stream_;
};

// Thread-safe: the queue's steps and done() come on any thread; the lock is held for list work and for handing steps to
// gRPC, never while a request is decoded, run or encoded.
class InferStream final : public RpcHandler, public ClosableStream, public std::enable_shared_from_this<InferStream> {
 public:
  InferStream(Backend& backend, OpenStreams& streams, std::shared_ptr<Rpc> rpc)
      : backend_(backend), streams_(streams), rpc_(std::move(rpc)) {
    backend_.open_streams.fetch_add(1, std::memory_order_relaxed);
  }
  ~InferStream() override { backend_.open_streams.fetch_sub(1, std::memory_order_relaxed); }

  void begin() override {
    {
      const std::lock_guard lock(mutex_);
      read_next();
    }
    if (!streams_.add(shared_from_this())) close();
  }

  void read_done(bool ok) override {
    if (!ok) {
      const std::lock_guard lock(mutex_);
      reading_ = false;
      no_more_ = true;
      finish_if_idle();
      return;
    }
    auto call = std::make_shared<StreamedInfer>(backend_, shared_from_this());
    const bool good = call->read(rpc_->message());
    rpc_->message().Clear();
    {
      const std::lock_guard lock(mutex_);
      reading_ = false;
      call->answered = !good;
      calls_.push_back(call);
      // Before the request runs, perhaps on this thread: another may take the next one off the connection meanwhile.
      read_next();
      write_next();
    }
    if (good) backend_.service().infer(call);
  }

  void write_done(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) broken_ = true;
    auto& messages = calls_.front()->messages;
    if (++written_ == messages.size() || broken_) {
      calls_.pop_front();
      written_ = 0;
    }
    read_next();
    write_next();
    finish_if_idle();
  }

  void cancelled() override {
    std::vector<std::shared_ptr<StreamedInfer>> waiting;
    {
      const std::lock_guard lock(mutex_);
      broken_ = true;
      for (const auto& call : calls_) {
        if (!call->answered) waiting.push_back(call);
      }
    }
    for (const auto& call : waiting) backend_.service().cancel(*call);
  }

  void close() override {
    const std::lock_guard lock(mutex_);
    no_more_ = true;
    closing_ = true;
    finish_if_idle();
  }

  void answered(StreamedInfer& call) {
    const std::lock_guard lock(mutex_);
    call.answered = true;
    write_next();
    read_next();
    finish_if_idle();
  }

 private:
  // The rest is called with the lock held.

  void read_next() {
    if (reading_ || no_more_ || finished_ || calls_.size() >= kMaxStreamRequests) return;
    reading_ = true;
    rpc_->start_read();
  }

  void write_next() {
    while (broken_ && !writing_ && !calls_.empty() && calls_.front()->answered) calls_.pop_front();
    if (writing_ || finished_ || calls_.empty() || !calls_.front()->answered) return;
    writing_ = true;
    rpc_->start_write(calls_.front()->messages[written_]);
  }

  void finish_if_idle() {
    if (finished_ || !no_more_ || writing_ || !calls_.empty()) return;
    finished_ = true;
    rpc_->finish(closing_ ? ::grpc::Status(::grpc::StatusCode::UNAVAILABLE, "the server is shutting down")
                          : ::grpc::Status::OK);
  }

  Backend& backend_;
  OpenStreams& streams_;
  const std::shared_ptr<Rpc> rpc_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<StreamedInfer>> calls_;  // in the order of the requests
  std::size_t written_ = 0;                           // messages of calls_.front()
  bool reading_ = false;
  bool writing_ = false;
  bool no_more_ = false;  // requests: the client said so, went away, or the server ends
  bool broken_ = false;   // answers reach nobody any more
  bool closing_ = false;
  bool finished_ = false;
};

void StreamedInfer::done(Result<InferResponse> result) noexcept {
  messages.resize(1);
  const Status status = encode(std::move(result), Envelope::kStream, messages.front());
  if (!status.ok()) {
    answer_error(status.error());
  } else if (wants_empty_final_response()) {
    encode_empty_final(messages.emplace_back());
  }
  stream_->answered(*this);
}

}  // namespace

std::shared_ptr<RpcHandler> make_infer_stream(Backend& backend, OpenStreams& streams, std::shared_ptr<Rpc> rpc) {
  return std::make_shared<InferStream>(backend, streams, std::move(rpc));
}

}  // namespace tessera::server
