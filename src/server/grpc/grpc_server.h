// The gRPC front end.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/affinity.h"
#include "base/ids.h"
#include "base/result.h"
#include "runtime/service.h"
#include "server/shared_memory.h"

namespace tessera::server {

struct GrpcOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8001;                        // 0: any free one
  Bytes max_message{std::uint64_t{64} << 20};       // larger requests are refused; answers have no bound of their own
  Bytes max_memory{std::uint64_t{1} << 30};         // of messages that are arriving, over all connections
  std::chrono::milliseconds message_time{300'000};  // a call's only message has to arrive within; streams may rest
  int max_streams_per_connection = 1024;            // calls at once; further ones wait at the client
  // Threads that read calls and run small models themselves. One thread hands nothing over and costs half the processor
  // time of two; more pay where connections alone fill a core.
  int threads = 1;
  std::vector<CpuSet> places;  // thread i runs on places[i % size]; empty: anywhere
};

// Thread-safe.
class GrpcServer {
 public:
  // Serves from when it returns. `service` and `shared_memory` must outlive the server. Error: kUnavailable, the
  // address cannot be had.
  static Result<std::unique_ptr<GrpcServer>> start(const GrpcOptions& options, runtime::Service& service,
                                                   SharedMemory& shared_memory);
  ~GrpcServer();  // as shut_down, at once
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  std::uint16_t port() const;

  // Refuses connections and calls, ends idle streams, and waits for running calls to be answered; those that are not
  // when `limit` has passed are cancelled. To be called once what they wait for has been drained.
  void shut_down(std::chrono::milliseconds limit);

  std::int64_t open_streams() const;
  std::int64_t open_inferences() const;  // accepted and not answered

 private:
  class State;
  explicit GrpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tessera::server
