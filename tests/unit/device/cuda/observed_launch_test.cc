// What the CUDA device tells of its launches, on the driver in memory.
#include "device/cuda/observed_launch.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/clock.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/homed_graph.h"
#include "device/cuda/plan_frame.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_plan_kernels.h"
#include "tests/unit/device/cuda/sink.h"

namespace tessera::device {
namespace {

using test::FakeCuda;
using test::Sink;

// A framed graph of one kernel, whose control block says what its launch asks for. One launch at a time.
class FramedPlan final : public CudaPlan {
 public:
  FramedPlan(CudaDevice& device, test::FakeKernel* kernel, const Slice& slice) {
    const auto gpu = device.gpu();
    const Driver& driver = gpu->driver();
    auto source = *capture(*gpu, device.loader_stream(), [&](CUstream on) {
      return driver.check(
          driver.launch_kernel(reinterpret_cast<CUfunction>(kernel), 1, 1, 1, 1, 1, 1, 0, on, nullptr, nullptr),
          "work");
    });
    kernels_ = *PlanKernels::load(gpu);
    TESSERA_CHECK(kernels_
                      ->frame(source.get(), reinterpret_cast<CUdeviceptr>(control_.data()),
                              reinterpret_cast<CUdeviceptr>(scratch_.data()), {1}, {1})
                      .ok());
    graph_.push_back(*HomedGraph::make(*gpu, source.get(), *device.context_of(slice), device.loader_stream()));
  }

  Status enqueue(const Slice&, const LaunchQueue& queue, Batch&) const override {
    asked.push_back(queue.times);
    if (fails) {
      return internal_error("it fails");
    }
    write_control(control_.data(), queue.end_word, queue.end_number, {}, {}, queue.times);
    return graph_.front().launch(queue.run);
  }
  bool writes_end() const override { return true; }
  Status finish(const Slice&, Batch&) const override { return ok_status(); }

  mutable std::vector<std::uint64_t> asked;
  bool fails = false;

 private:
  alignas(16) mutable std::array<std::byte, 4096> control_{};
  alignas(kFrameBytes) std::array<std::byte, kFrameBytes> scratch_{};
  std::shared_ptr<const PlanKernels> kernels_;
  std::vector<HomedGraph> graph_;
};

class ObservedLaunchTest : public testing::Test {
 protected:
  ObservedLaunchTest() {
    test::add_plan_kernels(cuda_);
    test::FakeKernel* const work = cuda_.add_kernel({.name = "work", .arguments = {}, .start = nullptr});
    CudaOptions options;
    options.spec = parse_cuda_devices("cuda:0")->front();
    options.streams = 4;
    options.staging = {.total = Bytes{1 << 20}, .largest = Bytes{1 << 18}};
    device_ = *make_cuda_device(*Gpu::open(driver_, 0), options);
    device_->set_sink(sink_);
    plan_ = std::make_unique<FramedPlan>(*device_, work, kSlice);
  }

  static constexpr Slice kSlice{2, 2};  // on the ladder

  void run() {
    const std::uint64_t id = ++last_;
    ASSERT_TRUE(
        device_
            ->launch({.id = {id}, .instance = {7}, .lane = {3}, .slice = kSlice, .plan = plan_.get(), .batch = &batch_})
            .ok());
    sink_.wait_for_launches(id);
    device_->retire({id});
  }
  Status observe() {
    return device_->observe([this](const ObservedLaunch& launch) { seen_.push_back(launch); });
  }

  FakeCuda cuda_;
  const Driver driver_ = FakeCuda::table();
  Sink sink_;
  Batch batch_;
  std::unique_ptr<CudaDevice> device_;
  std::unique_ptr<FramedPlan> plan_;
  std::vector<ObservedLaunch> seen_;
  std::uint64_t last_ = 0;
};

TEST_F(ObservedLaunchTest, EachLaunchIsToldOnceWithItsTimesInOrder) {
  run();
  ASSERT_TRUE(observe().ok());
  for (int i = 0; i < 3; ++i) {
    run();
  }
  ASSERT_EQ(seen_.size(), 3U);
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    const ObservedLaunch& launch = seen_[i];
    EXPECT_EQ(launch.number, i + 2) << "one ran before anybody listened";
    EXPECT_EQ(launch.id, LaunchId{i + 2});
    EXPECT_EQ(launch.instance, InstanceId{7});
    EXPECT_EQ(launch.lane, LaneIndex{3});
    EXPECT_EQ(launch.slice, kSlice);
    // The driver in memory has the host's clock.
    const auto ns = [](TimePoint at) { return static_cast<std::uint64_t>(at.time_since_epoch().count()); };
    EXPECT_LE(ns(launch.queued), launch.card.begun_ns);
    EXPECT_LE(launch.card.begun_ns, launch.card.ended_ns);
    EXPECT_LE(launch.seen, launch.told);
    EXPECT_LE(launch.card.begun_ns, ns(launch.seen));
    EXPECT_LE(launch.told, now());
  }
}

TEST_F(ObservedLaunchTest, WhereNobodyListensNothingIsAskedOfTheCard) {
  run();
  EXPECT_EQ(plan_->asked, std::vector<std::uint64_t>{0});
  ASSERT_TRUE(observe().ok());
  run();
  EXPECT_NE(plan_->asked.back(), 0U);
  ASSERT_TRUE(device_->observe({}).ok());
  run();
  EXPECT_EQ(plan_->asked.back(), 0U);
  EXPECT_EQ(seen_.size(), 1U);
}

TEST_F(ObservedLaunchTest, OneThatFailedIsToldWithoutTimes) {
  ASSERT_TRUE(observe().ok());
  run();
  plan_->fails = true;
  run();
  ASSERT_EQ(seen_.size(), 2U);
  EXPECT_EQ(seen_.back().number, 2U);
  EXPECT_EQ(seen_.back().card.ended_ns, 0U) << "and not those of the launch before it";
}

TEST_F(ObservedLaunchTest, WithoutMemoryForItNobodyListens) {
  cuda_.fail("cuMemHostAlloc", CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(observe().error().code(), ErrorCode::kOutOfMemory);
  run();
  EXPECT_TRUE(seen_.empty());
}

}  // namespace
}  // namespace tessera::device
