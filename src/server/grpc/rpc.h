// One gRPC call, of whatever method, on a completion queue: messages stay the bytes they were on the wire.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "server/grpc/message_deadlines.h"
#include "server/grpc/queue_tag.h"
#include "server/helper_thread.h"

namespace tessera::server {

class Rpc;

// Answers one call. Everything is called by threads of the queue, read_done() also by the helper thread; of reads and
// writes at most one each is under way. Every handler finishes its call exactly once, a cancelled one too, unless its
// message came too late: then it is told nothing.
class RpcHandler {
 public:
  virtual ~RpcHandler() = default;
  virtual void begin() = 0;
  virtual void read_done(bool ok) = 0;  // not ok: the client sends no more, went away, or sent too large a message
  virtual void write_done(bool /*ok*/) {}
  virtual void cancelled() {}  // the client went away, its deadline passed, or the server ends; at any time
};

// Takes the calls that come in. Called by the threads of the queue, several at once.
class RpcAcceptor {
 public:
  virtual ~RpcAcceptor() = default;
  virtual void accepted(const std::shared_ptr<Rpc>& rpc) = 0;  // to be followed by serve() or finish()
};

// What calls have in common. Outlives them.
struct RpcSurroundings {
  RpcAcceptor& acceptor;
  MessageDeadlines& deadlines;
  HelperThread& helper;  // takes in the large messages
  std::size_t max_message_bytes;
};

// Thread-safe as far as gRPC's streams are: one read and one write at a time, from any thread. Lives until gRPC is done
// with it and nobody holds it.
class Rpc final : public MessageWaiter, public std::enable_shared_from_this<Rpc> {
 public:
  explicit Rpc(const RpcSurroundings& surroundings);
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  // Waits for a call; tells the acceptor of it.
  void accept(::grpc::AsyncGenericService& service, ::grpc::ServerCompletionQueue& queue);

  const std::string& method() const { return context_.method(); }
  ::grpc::GenericServerContext& context() { return context_; }

  // Hands the call to a handler, which is kept until the call is finished.
  void serve(const std::shared_ptr<RpcHandler>& handler);

  void start_read();       // with no limit: a stream may rest between messages as long as its client likes
  void start_only_read();  // of a call with one message, which has to be there in time
  ::grpc::ByteBuffer& message() { return message_; }  // from read_done() to the next read
  void start_write(const ::grpc::ByteBuffer& message);
  void finish(const ::grpc::Status& status);       // after the last write_done; a refused message's error wins
  void answer(const ::grpc::ByteBuffer& message);  // the only message, and the end

 private:
  // A step under way; it keeps the call.
  struct Step final : QueueTag {
    explicit Step(void (Rpc::*next)(bool)) : then(next) {}
    void complete(bool ok) override;

    void (Rpc::*const then)(bool ok);
    std::shared_ptr<Rpc> rpc;
  };

  Step* begin(Step& step);
  std::shared_ptr<MessageWaiter> share() override { return shared_from_this(); }
  void message_late() override;
  void take_message(bool ok);
  void refuse_message(const Error& error);
  void on_accepted(bool ok);
  void on_ended(bool ok);
  void on_read(bool ok);
  void on_written(bool ok);
  void on_finished(bool ok);
  std::shared_ptr<RpcHandler> handler();

  const RpcSurroundings& surroundings_;
  ::grpc::GenericServerContext context_;
  ::grpc::GenericServerAsyncReaderWriter stream_;
  Step accept_{&Rpc::on_accepted};
  Step ended_{&Rpc::on_ended};
  Step read_{&Rpc::on_read};
  Step write_{&Rpc::on_written};
  Step finish_{&Rpc::on_finished};
  ::grpc::ByteBuffer message_;     // here and not with the handler, which a read may outlive
  std::atomic<bool> gone_{false};  // the client went away: what it sent is not worth taking in
  std::mutex mutex_;               // of what follows: the end of a call may overtake its beginning
  std::shared_ptr<RpcHandler> handler_;
  bool cancelled_early_ = false;
  std::optional<::grpc::Status> refused_;  // why a message was not passed on
};

}  // namespace tessera::server
