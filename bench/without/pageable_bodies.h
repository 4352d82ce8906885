// A GPU whose request bodies lie in ordinary memory: each launch copies them to pinned memory first, as it does with
// whatever the card cannot read where it is.
#pragma once

#include <memory>
#include <utility>

#include "device/cuda/cuda_device.h"
#include "device/host/host_staging.h"

namespace tessera::bench {

// As the device within, but for its request memory.
class PageableBodies final : public device::Device {
 public:
  PageableBodies(std::unique_ptr<device::CudaDevice> within, Bytes largest)
      : staging_(device::make_host_staging({.largest = largest})), within_(std::move(within)) {}

  const DeviceShape& shape() const override { return within_->shape(); }
  device::StagingPool& staging() override { return *staging_; }
  bool can_copy(std::span<const std::byte> bytes) const override { return within_->can_copy(bytes); }
  void set_sink(device::CompletionSink& sink) override { within_->set_sink(sink); }
  Status copy(const device::Copy& copy) override { return within_->copy(copy); }
  Result<device::Started> launch(const device::Launch& launch) override { return within_->launch(launch); }
  void run_here(LaunchId id) override { within_->run_here(id); }
  void cancel(LaunchId id) override { within_->cancel(id); }
  void retire(LaunchId id) override { within_->retire(id); }
  Status become_loader_thread() override { return within_->become_loader_thread(); }
  Result<Duration> run_borrowed(const device::Plan& plan, const Slice& slice, Batch& batch) override {
    return within_->run_borrowed(plan, slice, batch);
  }

 private:
  const std::unique_ptr<device::HostStagingPool> staging_;
  const std::unique_ptr<device::CudaDevice> within_;  // last: it sees its launches to their end
};

}  // namespace tessera::bench
