// What the gRPC services work on, and what they count.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/service.h"
#include "server/grpc/decode/infer_decoder.h"
#include "server/shared_memory.h"

namespace tessera::server {

// Thread-safe; outlives every call.
class Backend final : public TensorMemory {
 public:
  Backend(runtime::Service& service, SharedMemory& shared_memory) : service_(service), shared_memory_(shared_memory) {}

  runtime::Service& service() { return service_; }
  SharedMemory& shared_memory() { return shared_memory_; }

  Result<std::shared_ptr<runtime::BodyMemory>> lease(std::string_view model, Bytes size) override {
    return service_.lease_body(model, size);
  }
  Result<SharedMemoryView> shared(const SharedMemoryRange& range) override { return shared_memory_.view(range); }

  std::atomic<std::int64_t> open_streams{0};
  std::atomic<std::int64_t> open_inferences{0};  // accepted and not answered, streamed ones included

 private:
  runtime::Service& service_;
  SharedMemory& shared_memory_;
};

}  // namespace tessera::server
