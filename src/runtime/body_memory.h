// Memory for requests' tensors, limited per model so that one model's senders cannot take all of it.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "device/staging.h"
#include "runtime/service.h"

namespace tessera::runtime {

// What the bodies of one model may hold at once, counted by the bytes that have arrived. Thread-safe.
class ByteQuota {
 public:
  explicit ByteQuota(Bytes limit) : limit_(limit) {}
  bool take(Bytes bytes);
  void give(Bytes bytes) { used_.fetch_sub(bytes.value, std::memory_order_relaxed); }
  Bytes limit() const { return limit_; }
  Bytes used() const { return {used_.load(std::memory_order_relaxed)}; }

 private:
  const Bytes limit_;
  std::atomic<std::uint64_t> used_{0};
};

// Error: that of the pool.
Result<std::shared_ptr<BodyMemory>> lease_body(device::StagingPool& pool, std::shared_ptr<ByteQuota> quota,
                                               std::string_view model, Bytes size);

}  // namespace tessera::runtime
