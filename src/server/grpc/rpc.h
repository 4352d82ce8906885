// One gRPC call, of whatever method, on a completion queue: messages stay the bytes they were on the wire.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace tessera::server {

class Rpc;

// What a completion queue hands back: a step of a call has ended.
class QueueTag {
 public:
  virtual ~QueueTag() = default;
  virtual void complete(bool ok) = 0;
};

// Answers one call. Everything is called by threads of the queue; of reads and writes at most one each is under way.
// Every handler finishes its call exactly once, a cancelled one too.
class RpcHandler {
 public:
  virtual ~RpcHandler() = default;
  virtual void begin() = 0;
  virtual void read_done(bool ok) = 0;  // not ok: the client sends no more, went away, or sent too large a message
  virtual void write_done(bool /*ok*/) {}
  virtual void cancelled() {}  // the client went away, its deadline passed, or the server ends; at any time
};

// Takes the calls that come in.
class RpcAcceptor {
 public:
  virtual ~RpcAcceptor() = default;
  virtual void accepted(const std::shared_ptr<Rpc>& rpc) = 0;  // to be followed by serve() or finish()
};

// Thread-safe as far as gRPC's streams are: one read and one write at a time, from any thread. Lives until gRPC is done
// with it and nobody holds it.
class Rpc final : public std::enable_shared_from_this<Rpc> {
 public:
  Rpc(RpcAcceptor& acceptor, std::size_t max_message_bytes);
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  // Waits for a call; tells the acceptor of it.
  void accept(::grpc::AsyncGenericService& service, ::grpc::ServerCompletionQueue& queue);

  const std::string& method() const { return context_.method(); }
  ::grpc::GenericServerContext& context() { return context_; }

  // Hands the call to a handler, which is kept until the call is finished.
  void serve(const std::shared_ptr<RpcHandler>& handler);

  void start_read(::grpc::ByteBuffer& into);  // alive until read_done
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
  void on_accepted(bool ok);
  void on_ended(bool ok);
  void on_read(bool ok);
  void on_written(bool ok);
  void on_finished(bool ok);
  std::shared_ptr<RpcHandler> handler();

  RpcAcceptor& acceptor_;
  const std::size_t max_message_bytes_;
  ::grpc::GenericServerContext context_;
  ::grpc::GenericServerAsyncReaderWriter stream_;
  Step accept_{&Rpc::on_accepted};
  Step ended_{&Rpc::on_ended};
  Step read_{&Rpc::on_read};
  Step write_{&Rpc::on_written};
  Step finish_{&Rpc::on_finished};
  std::mutex mutex_;  // of what follows: the end of a call may overtake its beginning
  std::shared_ptr<RpcHandler> handler_;
  bool cancelled_early_ = false;
  ::grpc::ByteBuffer* reading_ = nullptr;
  std::optional<::grpc::Status> refused_;  // why a message was not passed on
};

}  // namespace tessera::server
