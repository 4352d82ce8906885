// Handles of the driver that give themselves back.
#pragma once

#include <utility>

#include "device/cuda/driver.h"

namespace tessera::device {

// Owns one handle; kDestroy is the table's entry that takes it back. A failure to give back is of no use to anybody:
// it means that the context is lost, and everything with it. The table must outlive the handle. Owned by one thread at
// a time.
template <typename Handle, auto kDestroy>
class Owned {
 public:
  Owned() = default;
  Owned(const Driver& driver, Handle handle) : driver_(&driver), handle_(handle) {}
  ~Owned() { reset(); }
  Owned(Owned&& other) noexcept : driver_(other.driver_), handle_(std::exchange(other.handle_, Handle{})) {}
  Owned& operator=(Owned&& other) noexcept {
    if (this != &other) {
      reset();
      driver_ = other.driver_;
      handle_ = std::exchange(other.handle_, Handle{});
    }
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != Handle{}; }
  void reset() {
    if (driver_ != nullptr && handle_ != Handle{}) {
      static_cast<void>((driver_->*kDestroy)(std::exchange(handle_, Handle{})));
    }
  }

 private:
  const Driver* driver_ = nullptr;
  Handle handle_{};
};

using OwnedStream = Owned<CUstream, &Driver::stream_destroy>;
using OwnedEvent = Owned<CUevent, &Driver::event_destroy>;
using OwnedGraph = Owned<CUgraph, &Driver::graph_destroy>;
using OwnedGraphExec = Owned<CUgraphExec, &Driver::graph_exec_destroy>;
using OwnedGreenContext = Owned<CUgreenCtx, &Driver::green_ctx_destroy>;
using OwnedDeviceMemory = Owned<CUdeviceptr, &Driver::mem_free>;

}  // namespace tessera::device
