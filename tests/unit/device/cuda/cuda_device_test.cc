// What the contract suite does not ask of the CUDA device: errors of the driver, times, parts of cards.
#include "device/cuda/cuda_device.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/homed_graph.h"
#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device {
namespace {

using std::chrono::milliseconds;
using test::FakeCuda;

class Sink final : public CompletionSink {
 public:
  void completed(const Completion& completion) override {
    const std::lock_guard lock(mutex_);
    completions_.push_back(completion);
    changed_.notify_all();
  }
  void device_down(const Error& reason) override {
    const std::lock_guard lock(mutex_);
    downs_.push_back(reason);
    changed_.notify_all();
  }
  std::vector<Completion> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return completions_.size() >= count; }));
    return completions_;
  }
  std::vector<Error> wait_for_downs(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return downs_.size() >= count; }));
    return downs_;
  }
  std::size_t downs() {
    const std::lock_guard lock(mutex_);
    return downs_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Completion> completions_;
  std::vector<Error> downs_;
};

// Runs the kernel "work", which lasts until the test lets it go.
class WorkPlan final : public CudaPlan {
 public:
  WorkPlan(const Driver& driver, test::FakeKernel* kernel) : driver_(driver), kernel_(kernel) {}
  Status enqueue(const Slice&, CUstream stream, Batch&) const override {
    return driver_.check(
        driver_.launch_kernel(reinterpret_cast<CUfunction>(kernel_), 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr),
        "queue");
  }
  Status finish(const Slice&, Batch&) const override { return ok_status(); }

 private:
  const Driver& driver_;
  test::FakeKernel* const kernel_;
};

class CudaDeviceTest : public testing::Test {
 protected:
  class Run final : public test::FakeRun {
   public:
    explicit Run(std::atomic<bool>& go) : go_(go) {}
    State look() override { return go_.load() ? State::kEnded : State::kRunning; }

   private:
    std::atomic<bool>& go_;
  };

  CudaDeviceTest()
      : plan_(driver_,
              cuda_.add_kernel({.name = "work", .arguments = {}, .start = [this](void**, const test::Processors&) {
                                  return std::make_unique<Run>(go_);
                                }})) {}
  ~CudaDeviceTest() override { go_.store(true); }

  static CudaOptions small(const char* spec = "cuda:0") {
    CudaOptions options;
    options.spec = parse_cuda_devices(spec)->front();
    options.streams = 4;
    options.staging = {.total = Bytes{1 << 20}, .largest = Bytes{1 << 18}};
    return options;
  }
  Result<std::unique_ptr<CudaDevice>> make(const CudaOptions& options) {
    TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<Gpu> gpu, Gpu::open(driver_, 0));
    return make_cuda_device(std::move(gpu), options);
  }
  std::unique_ptr<CudaDevice> start(const CudaOptions& options = small()) {
    auto device = make(options);
    EXPECT_TRUE(device.ok());
    (*device)->set_sink(sink_);
    return *std::move(device);
  }
  Result<Started> launch(CudaDevice& device, std::uint64_t id, const Slice& slice) {
    return device.launch({.id = {id}, .slice = slice, .plan = &plan_, .batch = &batch_});
  }

  FakeCuda cuda_;
  const Driver driver_ = FakeCuda::table();
  std::atomic<bool> go_{true};
  Sink sink_;
  Batch batch_;
  WorkPlan plan_;
};

TEST_F(CudaDeviceTest, ItsShapeCountsProcessorsAndItsNameIsTheSpec) {
  const auto whole = start();
  EXPECT_EQ(whole->shape().name, "cuda:0");
  EXPECT_EQ(whole->shape().processors, (std::vector<std::uint16_t>{8, 8, 8, 12}));
  EXPECT_EQ(whole->shape().loader, (Slice{3, 1}));
  const auto part = start(small("cuda:0/2-3"));
  EXPECT_EQ(part->shape().name, "cuda:0/2-3");
  EXPECT_EQ(part->shape().processors, (std::vector<std::uint16_t>{8, 12}));
  EXPECT_EQ(reinterpret_cast<test::FakeContext*>(*part->context_of({0, 1}))->processors.count(16), 1U)
      << "a part's slices count from its own first atom";
  EXPECT_FALSE(part->context_of({1, 2}).ok());
}

TEST_F(CudaDeviceTest, WhatTheCardDoesNotHaveIsRefused) {
  EXPECT_EQ(make(small("cuda:0/2-4")).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(make(small("cuda:1")).error().code(), ErrorCode::kInvalidArgument);
  CudaOptions options = small();
  options.streams = Gpu::kMaxStreams;  // and one for the loader
  EXPECT_EQ(make(options).error().code(), ErrorCode::kResourceExhausted);
  options.streams = 0;
  EXPECT_FALSE(make(options).ok());
}

TEST_F(CudaDeviceTest, MakesAllContextsAndPinsAllMemoryAtTheStart) {
  const auto device = start();
  cuda_.forget_calls();
  ASSERT_TRUE(launch(*device, 1, {0, 4}).ok());
  sink_.wait_for(1);
  for (const Slice& slice : device->shape().ladder) {
    ASSERT_TRUE(device->context_of(slice).ok());
  }
  std::thread([&] { EXPECT_TRUE(device->become_loader_thread().ok()); }).join();
  ASSERT_TRUE(device->staging().lease(Bytes{100'000}).ok());
  for (const char* waits_for_kernels : {"cuGreenCtxCreate", "cuMemHostAlloc", "cuMemFreeHost", "cuMemFree_v2",
                                        "cuMemAlloc", "cuMemFree", "cuStreamCreate", "cuEventCreate"}) {
    EXPECT_EQ(cuda_.count(waits_for_kernels), 0U) << waits_for_kernels;
  }
}

TEST_F(CudaDeviceTest, AStartThatFailsLeavesNothingBehind) {
  for (const char* entry : {"cuGreenCtxCreate", "cuMemHostAlloc", "cuStreamCreate", "cuEventCreate"}) {
    for (const int after : {0, 1, 3}) {
      cuda_.fail(entry, CUDA_ERROR_OUT_OF_MEMORY, after);
      const auto device = make(small());
      if (device.ok()) {
        continue;  // it does not make that many
      }
      EXPECT_EQ(device.error().code(), ErrorCode::kResourceExhausted) << entry;
      EXPECT_EQ(device.error().message().rfind("cuda:0: ", 0), 0U) << device.error().message();
      EXPECT_EQ(cuda_.alive(), 0U) << entry << " after " << after;
    }
  }
}

TEST_F(CudaDeviceTest, EverythingIsGivenBack) {
  {
    const auto device = start();
    ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
    sink_.wait_for(1);
  }
  EXPECT_EQ(cuda_.alive(), 0U);
}

TEST_F(CudaDeviceTest, ALaunchThatCannotBeQueuedIsItsOwnError) {
  const auto device = start();
  cuda_.fail("cuLaunchKernel", CUDA_ERROR_INVALID_VALUE);
  ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
  ASSERT_TRUE(launch(*device, 2, {0, 1}).ok());
  const auto completions = sink_.wait_for(2);
  EXPECT_EQ(completions[0].id, LaunchId{1});
  EXPECT_EQ(completions[0].status.error().code(), ErrorCode::kInternal);
  EXPECT_TRUE(completions[1].status.ok());
  EXPECT_EQ(sink_.downs(), 0U);
}

TEST_F(CudaDeviceTest, ALaunchThatTheDriverDoesNotOrderTakesTheDeviceDown) {
  for (const char* entry : {"cuStreamWaitEvent", "cuEventRecord", "cuStreamWriteValue32", "cuCtxPushCurrent"}) {
    Sink sink;
    const auto device = start();
    device->set_sink(sink);
    go_.store(false);
    std::thread([&] {
      ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
      ASSERT_TRUE(launch(*device, 2, {1, 1}).ok());
      cuda_.fail(entry, CUDA_ERROR_INVALID_VALUE);
      ASSERT_TRUE(launch(*device, 3, {0, 2}).ok());
      for (const Completion& completion : sink.wait_for(3)) {
        EXPECT_EQ(completion.status.error().code(), ErrorCode::kDeviceLost) << entry;
      }
      EXPECT_EQ(sink.wait_for_downs(1).size(), 1U);
      const auto refused = launch(*device, 4, {0, 1});
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.error().code(), ErrorCode::kDeviceLost);
    }).join();
    go_.store(true);
  }
}

TEST_F(CudaDeviceTest, AFaultBetweenLaunchesShowsAtTheNext) {
  const auto device = start();
  ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
  sink_.wait_for(1);
  cuda_.break_down(CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(sink_.downs(), 0U);
  ASSERT_TRUE(launch(*device, 2, {0, 1}).ok());
  EXPECT_EQ(sink_.wait_for(2)[1].status.error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(sink_.wait_for_downs(1)[0].code(), ErrorCode::kDeviceLost);
}

TEST_F(CudaDeviceTest, AFaultInOnePartOfACardTakesTheOthersDown) {
  auto gpu = *Gpu::open(driver_, 0);
  auto idle = *make_cuda_device(gpu, small("cuda:0/2"));
  auto busy = *make_cuda_device(gpu, small("cuda:0/3"));
  auto without_sink = *make_cuda_device(gpu, small("cuda:0"));  // shares atoms, which is nothing to this test
  Sink idle_sink;
  Sink busy_sink;
  idle->set_sink(idle_sink);
  busy->set_sink(busy_sink);
  go_.store(false);
  ASSERT_TRUE(launch(*busy, 1, {0, 1}).ok());
  cuda_.break_down(CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(idle_sink.wait_for_downs(1)[0].code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(busy_sink.wait_for(1)[0].status.error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(busy_sink.wait_for_downs(1).size(), 1U);
  EXPECT_EQ(launch(*idle, 1, {0, 1}).error().code(), ErrorCode::kDeviceLost);
  without_sink->set_sink(sink_);
  EXPECT_EQ(launch(*without_sink, 1, {0, 1}).error().code(), ErrorCode::kDeviceLost);
}

TEST_F(CudaDeviceTest, ALaunchStartsWhenTheLastThatItWaitedForWasSeenToEnd) {
  const auto device = start();
  go_.store(false);
  const TimePoint before = now();
  ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
  ASSERT_TRUE(launch(*device, 2, {1, 1}).ok());
  ASSERT_TRUE(launch(*device, 3, {0, 2}).ok());
  std::this_thread::sleep_for(milliseconds(5));
  go_.store(true);
  const auto completions = sink_.wait_for(3);
  EXPECT_EQ(completions[2].id, LaunchId{3});
  EXPECT_EQ(completions[2].started, std::max(completions[0].ended, completions[1].ended));
  EXPECT_GE(completions[0].started, before);
  EXPECT_GE(completions[0].ended - completions[0].started, milliseconds(5));
}

TEST_F(CudaDeviceTest, ThePollingThreadMaySleepBetweenLooks) {
  CudaOptions options = small();
  options.poll_pause = std::chrono::microseconds(50);
  const auto device = start(options);
  for (std::uint64_t id = 1; id <= 20; ++id) {
    ASSERT_TRUE(launch(*device, id, {0, 1}).ok());
    EXPECT_TRUE(sink_.wait_for(id).back().status.ok());
    device->retire({id});
  }
}

TEST_F(CudaDeviceTest, RequestMemoryIsPinnedAndRunsOutAndComesBack) {
  const auto device = start();
  std::vector<std::unique_ptr<StagingBlock>> blocks;
  for (int i = 0; i < 4; ++i) {
    auto block = device->staging().lease(Bytes{1 << 18});
    ASSERT_TRUE(block.ok());
    unsigned type = 0;
    EXPECT_EQ(driver_.pointer_get_attribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                            reinterpret_cast<CUdeviceptr>((*block)->bytes().data())),
              CUDA_SUCCESS);
    EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_HOST});
    blocks.push_back(*std::move(block));
  }
  EXPECT_EQ(device->staging().lease(Bytes{1}).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(device->staging().lease(Bytes{(1 << 18) + 1}).error().code(), ErrorCode::kTooLarge);
  blocks.pop_back();
  EXPECT_TRUE(device->staging().lease(Bytes{1 << 18}).ok());
}

}  // namespace
}  // namespace tessera::device
