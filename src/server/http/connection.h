// A client's connection: reads one request after the other and answers them in order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "server/http/backend.h"
#include "server/http/event_loop.h"
#include "server/http/exchange.h"
#include "server/http/infer_call.h"

namespace tessera::server::http {

class IoThread;

// While it waits for a request it holds no buffer; what a request needs is its Exchange. Owned by its IoThread.
class Connection final : public Watcher,
                         public Task,
                         public InferenceCaller,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(IoThread& thread, int socket);
  ~Connection() override;

  void start(std::size_t slot);
  void moved_to(std::size_t slot) { slot_ = slot; }
  void close();
  void drain();  // ends it, but for a request that was taken: that is still answered
  void deadline_passed();

  void readable() override;
  void writable() override;
  void turn_ends() override;
  void run() override;  // goes on with what it left off
  void answered(InferenceCall& call) override;
  void control_answered(std::uint64_t request, const Answer& answer);

 private:
  enum class State : std::uint8_t {
    kHead,  // awaits a head; idle while nothing of it is there
    kBody,
    kBusy,     // the request is with the service
    kPacking,  // its answer is being compressed
    kWriting,
    kLinger,  // answered and closing; what the peer still sends is thrown away so that the answer reaches it. Not
              // while draining: then what has come by now must do
    kClosed,
  };
  enum class Received { kSome, kFull, kNothing, kGone };  // kFull: as much as was asked for

  static bool would_block();  // of errno
  Received receive(std::size_t limit);
  void use(std::size_t count) { available_.remove_prefix(count); }
  void stash();

  void turn(bool may_receive);
  void settle();
  bool take_head(bool& may_receive);
  void begin_request(std::string_view head_text);
  bool take_sized_body(bool& may_receive, std::size_t& budget);
  bool take_chunked_body(bool& may_receive, std::size_t& budget);
  bool receive_into_tensors(bool& may_receive, std::size_t& budget);
  bool receive_piece(bool& may_receive, std::size_t& budget);
  bool rest_can_be_skipped() const;
  void fail(const Error& error);
  void send_continue();
  void read_ahead();
  void throw_away();

  void request_complete();
  void submit_inference();
  void submit_control();

  void deliver(InferenceCall& call);
  void refuse_and_close(const Answer& answer);
  void send(const Answer& answer);
  void send_prepared();
  void pack_some();
  void write_answer();
  void flush();
  void answer_sent();

  void arm();
  void go_on_later();
  void set_deadline(std::chrono::milliseconds from_now);

  IoThread& thread_;
  Watch watch_;
  std::size_t slot_ = 0;
  std::unique_ptr<Exchange> exchange_;
  std::string pending_;
  std::string_view available_;  // received and not used yet: in the thread's scratch or in pending_
  std::uint64_t request_ = 0;   // counts requests, so that late answers find out
  State state_ = State::kHead;
  bool armed_ = false;       // a call of readable() is under way
  bool posted_ = false;      // a call of run() is under way
  bool timed_ = false;       // the deadline of the head or body in progress was set
  bool must_close_ = false;  // after the answer in progress
};

}  // namespace tessera::server::http
