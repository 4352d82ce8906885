// The device of tests/support/faulty over a driver in memory: the launch that is made to spin, and the others.
#include "tests/support/faulty/spinning_device.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_probe_kernels.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::device::test {
namespace {

// Runs a probe. Thread-safe.
class ProbePlan final : public CudaPlan {
 public:
  explicit ProbePlan(std::shared_ptr<contract::ProbeKit> kit) : kit_(std::move(kit)) {}

  Status enqueue(const Slice& slice, const LaunchQueue& queue, Batch& /*batch*/) const override {
    const auto slot = kit_->take_slot();
    TESSERA_CHECK(slot.has_value());
    contract::ProbeArgs args{};
    args.blocks = slot->blocks;
    args.note = slot->note;
    args.input = slot->input;
    args.output = slot->output;
    return kit_->enqueue(slice, queue.run, args);
  }
  Status finish(const Slice& /*slice*/, Batch& /*batch*/) const override { return ok_status(); }

 private:
  const std::shared_ptr<contract::ProbeKit> kit_;
};

class Ends final : public CompletionSink {
 public:
  void completed(const Completion& completion) override {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(completion.status.ok()) << completion.status.error().message();
    ended_.insert(completion.id.value);
  }
  void device_down(const Error& reason) override { ADD_FAILURE() << reason.message(); }

  bool has(LaunchId id, std::chrono::milliseconds within) {
    for (const TimePoint end = now() + within; now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      const std::lock_guard lock(mutex_);
      if (ended_.contains(id.value)) return true;
    }
    return false;
  }

 private:
  std::mutex mutex_;
  std::set<std::uint64_t> ended_;
};

TEST(SpinningDevice, OneLaunchSpinsInItsSliceUntilItMayEnd) {
  FakeCuda cuda;
  add_probe_kernels(cuda);
  const auto gpu = *Gpu::open(FakeCuda::table(), 0);
  CudaOptions options;
  options.streams = 8;
  options.staging = {.total = {16 << 20}, .largest = {2 << 20}};
  auto card = *make_cuda_device(gpu, options);
  const ProbePlan plan(std::make_shared<contract::ProbeKit>(*card));
  auto device = *test_support::SpinningDevice::over(std::move(card));
  Ends ends;
  device->set_sink(ends);
  std::array<Batch, 4> batches;
  const auto launch = [&](std::uint64_t id, std::uint16_t atom) {
    EXPECT_TRUE(device->launch({.id = {id}, .slice = {atom, 1}, .plan = &plan, .batch = &batches.at(id - 1)}).ok());
    return LaunchId{id};
  };
  constexpr std::chrono::milliseconds kPatience{10'000};
  EXPECT_TRUE(ends.has(launch(1, 0), kPatience));
  device->retire({1});
  device->spin_next();
  const LaunchId spins = launch(2, 0);
  EXPECT_TRUE(ends.has(launch(3, 1), kPatience)) << "another slice waited, or spun as well";
  const LaunchId behind = launch(4, 0);
  EXPECT_FALSE(ends.has(spins, std::chrono::milliseconds(200)));
  EXPECT_FALSE(ends.has(behind, std::chrono::milliseconds(1)));
  device->end_spinning();
  EXPECT_TRUE(ends.has(spins, kPatience));
  EXPECT_TRUE(ends.has(behind, kPatience));
}

}  // namespace
}  // namespace tessera::device::test
