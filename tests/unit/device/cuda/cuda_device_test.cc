// What the contract suite does not ask of the CUDA device: errors of the driver, times, parts of cards.
#include "device/cuda/cuda_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "base/clock.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/homed_graph.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/unit/device/cuda/sink.h"

namespace tessera::device {
namespace {

using std::chrono::milliseconds;
using test::FakeCuda;
using test::Sink;

constexpr milliseconds kALongWhile{200};

// Runs the kernel "work", which lasts until the test lets it go.
class WorkPlan final : public CudaPlan {
 public:
  WorkPlan(const Driver& driver, test::FakeKernel* kernel) : driver_(driver), kernel_(kernel) {}
  Status enqueue(const Slice&, const LaunchQueue& queue, Batch&) const override {
    return driver_.check(
        driver_.launch_kernel(reinterpret_cast<CUfunction>(kernel_), 1, 1, 1, 1, 1, 1, 0, queue.run, nullptr, nullptr),
        "queue");
  }
  Status finish(const Slice&, Batch&) const override { return ok_status(); }

 private:
  const Driver& driver_;
  test::FakeKernel* const kernel_;
};

// Copies its input ahead, then runs "work"; its last kernel may say itself that it has ended.
class CopyingPlan final : public CudaPlan {
 public:
  CopyingPlan(FakeCuda& cuda, const Driver& driver, CUdeviceptr to, bool writes_end)
      : cuda_(cuda), driver_(driver), to_(to), writes_end_(writes_end) {}

  Status enqueue(const Slice&, const LaunchQueue& queue, Batch& batch) const override {
    queues.push_back(queue);
    const auto bytes = batch.inputs.front().parts.front();
    TESSERA_RETURN_IF_ERROR(
        driver_.check(driver_.memcpy_htod_async(to_, bytes.data(), bytes.size(), queue.inbound), "copy"));
    TESSERA_RETURN_IF_ERROR(launch("copied", queue.inbound, nullptr));
    TESSERA_RETURN_IF_ERROR(inputs_arrived(driver_, queue));
    TESSERA_RETURN_IF_ERROR(launch("work", queue.run, nullptr));
    std::uint64_t word = queue.end_word;
    std::uint32_t number = queue.end_number;
    void* values[] = {&word, &number};
    return writes_end_ ? launch("end", queue.run, values) : ok_status();
  }
  Status finish(const Slice&, Batch&) const override { return ok_status(); }
  bool writes_end() const override { return writes_end_; }

  mutable std::vector<LaunchQueue> queues;

 private:
  Status launch(const char* kernel, CUstream stream, void** values) const {
    return driver_.check(driver_.launch_kernel(reinterpret_cast<CUfunction>(cuda_.kernel(kernel)), 1, 1, 1, 1, 1, 1, 0,
                                               stream, values, nullptr),
                         "queue");
  }

  FakeCuda& cuda_;
  const Driver& driver_;
  const CUdeviceptr to_;
  const bool writes_end_;
};

// Runs "work"; the outputs of batches of two rows leave by "leave".
class LeavingPlan final : public CudaPlan {
 public:
  LeavingPlan(FakeCuda& cuda, const Driver& driver) : cuda_(cuda), driver_(driver) {}
  Status enqueue(const Slice&, const LaunchQueue& queue, Batch&) const override { return launch("work", queue.run); }
  bool copies_outputs(const Batch& batch) const override { return batch.rows == 2; }
  Status enqueue_outputs(CUstream stream, const Batch&) const override { return launch("leave", stream); }
  Status finish(const Slice&, Batch&) const override {
    ++finished;
    return ok_status();
  }

  mutable std::atomic<int> finished{0};

 private:
  Status launch(const char* kernel, CUstream stream) const {
    return driver_.check(driver_.launch_kernel(reinterpret_cast<CUfunction>(cuda_.kernel(kernel)), 1, 1, 1, 1, 1, 1, 0,
                                               stream, nullptr, nullptr),
                         "queue");
  }

  FakeCuda& cuda_;
  const Driver& driver_;
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
                                  ++works_;
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
  std::atomic<int> works_{0};  // begun
  Sink sink_;
  Batch batch_;
  WorkPlan plan_;
};

TEST_F(CudaDeviceTest, ItsShapeCountsProcessorsAndItsNameIsTheSpec) {
  const auto whole = start();
  EXPECT_EQ(whole->shape().name, "cuda:0");
  EXPECT_EQ(whole->hardware().rfind("fake gpu, driver 13.", 0), 0U) << whole->hardware();
  EXPECT_EQ(whole->shape().processors, (std::vector<std::uint16_t>{8, 8, 8, 12}));
  EXPECT_EQ(whole->shape().loader, (Slice{3, 1}));
  EXPECT_EQ(whole->shape().committed_per_atom, 1) << "a round trip to the card is worth hiding";
  EXPECT_TRUE(whole->shape().steady) << "a kernel that spins cannot be waited out";
  const auto part = start(small("cuda:0/2-3"));
  EXPECT_EQ(part->shape().name, "cuda:0/2-3");
  EXPECT_EQ(part->shape().processors, (std::vector<std::uint16_t>{8, 12}));
  EXPECT_EQ(reinterpret_cast<test::FakeContext*>(*part->context_of({0, 1}))->processors.count(16), 1U)
      << "a part's slices count from its own first atom";
  EXPECT_FALSE(part->context_of({1, 2}).ok());
}

TEST_F(CudaDeviceTest, AWorkerIsSharedAndGivesItsStreamBack) {
  const auto device = start();
  for (std::size_t i = 0; i < 2 * Gpu::kMaxStreams; ++i) {
    const auto worker = device->worker_of({0, 1});
    ASSERT_TRUE(worker.ok()) << i << ": " << worker.error().message();
    EXPECT_EQ(*device->worker_of({0, 1}), *worker);
    EXPECT_NE((*worker)->stream(), device->build_stream());
    EXPECT_TRUE((*worker)->call([&] { return (*worker)->wait(); }).ok());
  }
  std::vector<std::shared_ptr<StreamWorker>> kept;
  for (const Slice& slice : device->shape().ladder) {
    const auto worker = device->worker_of(slice);
    ASSERT_TRUE(worker.ok());
    kept.push_back(*worker);
  }
  EXPECT_FALSE(device->worker_of({2, 3}).ok()) << "more atoms than there are";
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
  sink_.wait_for_launches(1);
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
      EXPECT_EQ(device.error().code(), ErrorCode::kOutOfMemory) << entry;
      EXPECT_EQ(device.error().message().rfind("cuda:0: ", 0), 0U) << device.error().message();
      EXPECT_EQ(cuda_.alive(), 0U) << entry << " after " << after;
    }
  }
}

TEST_F(CudaDeviceTest, EverythingIsGivenBack) {
  {
    const auto device = start();
    ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
    sink_.wait_for_launches(1);
  }
  EXPECT_EQ(cuda_.alive(), 0U);
}

TEST_F(CudaDeviceTest, ALaunchThatCannotBeQueuedIsItsOwnError) {
  const auto device = start();
  cuda_.fail("cuLaunchKernel", CUDA_ERROR_INVALID_VALUE);
  ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
  ASSERT_TRUE(launch(*device, 2, {0, 1}).ok());
  const auto completions = sink_.wait_for_launches(2);
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
      for (const Completion& completion : sink.wait_for_launches(3)) {
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
  sink_.wait_for_launches(1);
  cuda_.break_down(CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(sink_.downs(), 0U);
  ASSERT_TRUE(launch(*device, 2, {0, 1}).ok());
  EXPECT_EQ(sink_.wait_for_launches(2)[1].status.error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(sink_.wait_for_downs(1)[0].code(), ErrorCode::kDeviceLost);
}

TEST_F(CudaDeviceTest, AFaultInOnePartOfACardTakesTheOthersDown) {
  auto gpu = *Gpu::open(driver_, 0);
  const auto with_few_streams = [](const char* spec) {
    CudaOptions options = small(spec);
    options.streams = 2;
    return options;
  };
  auto idle = *make_cuda_device(gpu, with_few_streams("cuda:0/2"));
  auto busy = *make_cuda_device(gpu, with_few_streams("cuda:0/3"));
  // Shares atoms, which is nothing to this test.
  auto without_sink = *make_cuda_device(gpu, with_few_streams("cuda:0"));
  Sink idle_sink;
  Sink busy_sink;
  idle->set_sink(idle_sink);
  busy->set_sink(busy_sink);
  go_.store(false);
  ASSERT_TRUE(launch(*busy, 1, {0, 1}).ok());
  cuda_.break_down(CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(idle_sink.wait_for_downs(1)[0].code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(busy_sink.wait_for_launches(1)[0].status.error().code(), ErrorCode::kDeviceLost);
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
  const auto completions = sink_.wait_for_launches(3);
  EXPECT_EQ(completions[2].id, LaunchId{3});
  EXPECT_EQ(completions[2].started, std::max(completions[0].ended, completions[1].ended));
  EXPECT_GE(completions[0].started, before);
  EXPECT_GE(completions[0].ended - completions[0].started, milliseconds(5));
}

TEST_F(CudaDeviceTest, AnEndThatWasSeenLateSaysBySoMuch) {
  const auto device = start();
  go_.store(false);
  ASSERT_TRUE(launch(*device, 1, {0, 1}).ok());
  ASSERT_TRUE(launch(*device, 2, {1, 1}).ok());
  ASSERT_TRUE(launch(*device, 3, {1, 1}).ok());
  sink_.hold_up(kALongWhile);  // whoever hears of the first end
  go_.store(true);
  const auto completions = sink_.wait_for_launches(3);
  EXPECT_LT(completions[0].blur, kALongWhile);
  EXPECT_GE(completions[1].blur, kALongWhile);
  EXPECT_GE(completions[2].blur, kALongWhile) << "seen late, or begun when one ended that was";
}

class CudaQueueTest : public CudaDeviceTest {
 protected:
  CudaQueueTest() {
    cuda_.add_kernel({.name = "copied", .arguments = {}, .start = [this](void**, const test::Processors&) {
                        ++copied_;
                        return nullptr;
                      }});
    cuda_.add_kernel(
        {.name = "end",
         .arguments = {sizeof(std::uint64_t), sizeof(std::uint32_t)},
         .start = [](void** values, const test::Processors&) {
           std::atomic_ref(**static_cast<std::uint32_t**>(values[0])).store(*static_cast<std::uint32_t*>(values[1]));
           return nullptr;
         }});
    batch_.inputs = {{.dtype = DType::kUint8, .row_shape = {4}, .parts = {std::as_bytes(std::span(input_))}}};
  }

  Result<Started> launch_in_lane(CudaDevice& device, const CudaPlan& plan, std::uint64_t id, std::uint16_t lane,
                                 const Slice& slice) {
    return device.launch(
        {.id = {id}, .instance = {1}, .lane = {lane}, .slice = slice, .plan = &plan, .batch = &batch_});
  }
  bool copies_are(int count) {
    for (const TimePoint end = now() + std::chrono::seconds(30); copied_.load() < count && now() < end;) {
      std::this_thread::yield();
    }
    return copied_.load() == count;
  }

  const std::array<std::uint8_t, 4> input_{1, 2, 3, 4};
  std::array<std::uint8_t, 4> memory_{};  // stands for the card's
  std::atomic<int> copied_{0};
};

TEST_F(CudaQueueTest, CopiesGoAheadOfTheSliceButNotOfTheirLane) {
  const auto device = start();
  const CopyingPlan plan(cuda_, driver_, reinterpret_cast<CUdeviceptr>(memory_.data()), false);
  go_.store(false);
  ASSERT_TRUE(launch_in_lane(*device, plan, 1, 1, {0, 1}).ok());
  ASSERT_TRUE(launch_in_lane(*device, plan, 2, 2, {0, 1}).ok());
  EXPECT_TRUE(copies_are(2)) << "the second batch's inputs come while the first one runs";
  ASSERT_TRUE(launch_in_lane(*device, plan, 3, 1, {0, 1}).ok());
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(copied_.load(), 2) << "the first batch of the lane still reads what this would overwrite";
  go_.store(true);
  const auto completions = sink_.wait_for_launches(3);
  EXPECT_EQ(copied_.load(), 3);
  for (std::size_t i = 0; i < completions.size(); ++i) {
    EXPECT_EQ(completions[i].id, LaunchId{i + 1});
    EXPECT_TRUE(completions[i].status.ok());
  }
  EXPECT_EQ(memory_, input_);
  EXPECT_NE(plan.queues[0].inbound, plan.queues[1].inbound);
  EXPECT_EQ(plan.queues[0].inbound, plan.queues[2].inbound) << "two, in turn";
  EXPECT_NE(plan.queues[0].inbound, plan.queues[0].run);
  EXPECT_NE(plan.queues[0].arrived, plan.queues[1].arrived);
}

TEST_F(CudaQueueTest, ARunWaitsForItsInputs) {
  const auto device = start();
  const CopyingPlan plan(cuda_, driver_, reinterpret_cast<CUdeviceptr>(memory_.data()), false);
  std::atomic<bool> engine_free{false};
  cuda_.kernel("copied")->start = [&](void**, const test::Processors&) { return std::make_unique<Run>(engine_free); };
  ASSERT_TRUE(launch_in_lane(*device, plan, 1, 1, {0, 1}).ok());
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(sink_.wait_for_launches(0).size(), 0U);
  engine_free.store(true);
  EXPECT_TRUE(sink_.wait_for_launches(1)[0].status.ok());
}

TEST_F(CudaQueueTest, ABorrowedRunsTimeIsThatWithoutItsInputs) {
  const auto device = start();
  const CopyingPlan plan(cuda_, driver_, reinterpret_cast<CUdeviceptr>(memory_.data()), false);
  std::atomic<bool> engine_free{false};
  cuda_.kernel("copied")->start = [&](void**, const test::Processors&) { return std::make_unique<Run>(engine_free); };
  std::thread releases([&] {
    std::this_thread::sleep_for(kALongWhile);
    engine_free.store(true);
  });
  const auto took = device->run_borrowed(plan, {0, 1}, batch_);
  releases.join();
  ASSERT_TRUE(took.ok());
  EXPECT_LT(*took, kALongWhile / 2);
}

TEST_F(CudaQueueTest, WhereThePlanWritesTheEndTheStreamDoesNot) {
  const auto device = start();
  const CopyingPlan plan(cuda_, driver_, reinterpret_cast<CUdeviceptr>(memory_.data()), true);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    ASSERT_TRUE(launch_in_lane(*device, plan, id, 1, {0, 1}).ok());
    EXPECT_TRUE(sink_.wait_for_launches(id).back().status.ok());
    device->retire({id});
  }
  EXPECT_EQ(cuda_.count("cuStreamWriteValue32"), 0U);
  EXPECT_GE(cuda_.count("cuEventRecord"), 3U) << "others may have to wait for it";
  EXPECT_NE(plan.queues[0].end_number, plan.queues[1].end_number);
  std::thread([&] { EXPECT_TRUE(device->run_borrowed(plan, {0, 1}, batch_).ok()); }).join();
  EXPECT_EQ(cuda_.count("cuStreamWriteValue32"), 0U);
  EXPECT_EQ(plan.queues.back().run, device->loader_stream());
}

TEST_F(CudaQueueTest, OfAPlanThatCouldNotBeQueuedTheStreamWritesTheEnd) {
  const auto device = start();
  const CopyingPlan plan(cuda_, driver_, reinterpret_cast<CUdeviceptr>(memory_.data()), true);
  cuda_.fail("cuLaunchKernel", CUDA_ERROR_INVALID_VALUE, 1);
  ASSERT_TRUE(launch_in_lane(*device, plan, 1, 1, {0, 1}).ok());
  EXPECT_EQ(sink_.wait_for_launches(1)[0].status.error().code(), ErrorCode::kInternal);
  EXPECT_EQ(cuda_.count("cuStreamWriteValue32"), 1U);
}

TEST_F(CudaDeviceTest, TheLoaderQueuesToItsSliceAndHasThePrimaryContext) {
  const auto device = start();
  const auto* const stream = reinterpret_cast<test::FakeStream*>(device->build_stream());
  EXPECT_TRUE(stream->context->green);
  EXPECT_EQ(stream->context->processors,
            reinterpret_cast<test::FakeContext*>(*device->context_of(device->shape().loader))->processors);
  EXPECT_NE(device->build_stream(), device->loader_stream());
  std::thread([&] {
    ASSERT_TRUE(device->become_loader_thread().ok());
    CUcontext current = nullptr;
    ASSERT_EQ(driver_.ctx_get_current(&current), CUDA_SUCCESS);
    EXPECT_EQ(current, device->gpu()->context());
  }).join();
}

TEST_F(CudaDeviceTest, KnowsWhichBytesTheCardMayRead) {
  const auto device = start();
  const auto block = device->staging().lease(Bytes{1 << 18});
  ASSERT_TRUE(block.ok());
  const std::span<const std::byte> bytes = (*block)->bytes();
  EXPECT_TRUE(device->reads_in_place(bytes));
  EXPECT_TRUE(device->reads_in_place(bytes.subspan(100, 1)));
  EXPECT_TRUE(device->reads_in_place(bytes.first(0)));
  const std::vector<std::byte> pageable(8);
  EXPECT_FALSE(device->reads_in_place(pageable));
  EXPECT_FALSE(device->reads_in_place({bytes.data(), (1 << 20) + 1})) << "its end lies beyond";
  EXPECT_FALSE(device->reads_in_place({bytes.data() - 1, 2}));
}

TEST_F(CudaDeviceTest, ThePollingThreadMaySleepBetweenLooks) {
  CudaOptions options = small();
  options.poll_pause = std::chrono::microseconds(50);
  const auto device = start(options);
  for (std::uint64_t id = 1; id <= 20; ++id) {
    ASSERT_TRUE(launch(*device, id, {0, 1}).ok());
    EXPECT_TRUE(sink_.wait_for_launches(id).back().status.ok());
    device->retire({id});
  }
}

class OutputsTest : public CudaDeviceTest {
 protected:
  OutputsTest() : leaving_(cuda_, driver_) {
    cuda_.add_kernel({.name = "leave", .arguments = {}, .start = [this](void**, const test::Processors&) {
                        ++begun_;
                        return std::make_unique<Run>(may_leave_);
                      }});
    large_.rows = large_.bucket = 2;
    small_.rows = small_.bucket = 1;
  }
  ~OutputsTest() override { may_leave_.store(true); }

  Result<Started> launch_with(CudaDevice& device, std::uint64_t id, const Slice& slice, Batch& batch) {
    return device.launch({.id = {id},
                          .instance = {1},
                          .lane = {static_cast<std::uint16_t>(id)},
                          .slice = slice,
                          .plan = &leaving_,
                          .batch = &batch});
  }
  void wait_until_leaving() {
    for (int i = 0; i < 10000 && begun_.load() == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_EQ(begun_.load(), 1);
  }

  LeavingPlan leaving_;
  Batch large_;
  Batch small_;
  std::atomic<bool> may_leave_{false};
  std::atomic<int> begun_{0};
};

TEST_F(OutputsTest, TheirSliceIsFreeWhileTheyLeaveAndItsLaunchesCompleteInOrder) {
  const auto device = start();
  ASSERT_TRUE(launch_with(*device, 1, {0, 1}, large_).ok());
  wait_until_leaving();
  ASSERT_TRUE(launch_with(*device, 2, {1, 1}, small_).ok());
  EXPECT_EQ(sink_.wait_for_launches(1)[0].id, LaunchId{2}) << "nobody elsewhere waits";
  ASSERT_TRUE(launch_with(*device, 3, {0, 1}, small_).ok());
  for (int i = 0; i < 10000 && works_.load() < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(works_.load(), 3) << "it waits for the copies before it";
  EXPECT_EQ(leaving_.finished.load(), 1);
  const TimePoint release = now();
  may_leave_.store(true);
  const auto completions = sink_.wait_for_launches(3);
  EXPECT_EQ(completions[1].id, LaunchId{1});
  EXPECT_LT(completions[1].ended, release) << "the run's end, not its outputs'";
  EXPECT_EQ(completions[2].id, LaunchId{3});
}

TEST_F(OutputsTest, ABorrowedRunEndsWhenTheyHaveLeft) {
  const auto device = start();
  ASSERT_TRUE(device->become_loader_thread().ok());
  std::thread releases([&] {
    wait_until_leaving();
    std::this_thread::sleep_for(kALongWhile);
    EXPECT_EQ(leaving_.finished.load(), 0);
    may_leave_.store(true);
  });
  const auto took = device->run_borrowed(leaving_, {0, 1}, large_);
  releases.join();
  ASSERT_TRUE(took.ok());
  EXPECT_LT(*took, kALongWhile) << "how long it holds its slice";
  EXPECT_EQ(leaving_.finished.load(), 1);
}

TEST_F(OutputsTest, AFaultWhileTheyLeaveIsTheirLaunchsError) {
  const auto device = start();
  ASSERT_TRUE(launch_with(*device, 1, {0, 1}, large_).ok());
  wait_until_leaving();
  ASSERT_TRUE(launch_with(*device, 2, {0, 1}, small_).ok());
  std::this_thread::sleep_for(kALongWhile);  // so that its end was seen, and nothing runs any more
  cuda_.break_down(CUDA_ERROR_LAUNCH_FAILED);
  const auto completions = sink_.wait_for_launches(2);
  for (std::uint64_t i = 0; i < 2; ++i) {
    EXPECT_EQ(completions[i].id, LaunchId{i + 1});
    EXPECT_EQ(completions[i].status.error().code(), ErrorCode::kDeviceLost);
  }
  EXPECT_EQ(leaving_.finished.load(), 0);
  EXPECT_EQ(sink_.wait_for_downs(1).size(), 1U);
}

TEST_F(OutputsTest, ThatTheDriverDoesNotTakeLoseTheDevice) {
  const auto device = start();
  cuda_.fail("cuLaunchKernel", CUDA_ERROR_INVALID_VALUE, 1);  // the second one
  ASSERT_TRUE(launch_with(*device, 1, {0, 1}, large_).ok());
  EXPECT_EQ(sink_.wait_for_launches(1)[0].status.error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(sink_.wait_for_downs(1).size(), 1U);
}

TEST_F(OutputsTest, OnesThatLeaveAreSeenOutAtTheEnd) {
  auto device = start();
  ASSERT_TRUE(launch_with(*device, 1, {0, 1}, large_).ok());
  wait_until_leaving();
  std::thread closing([&] { device.reset(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  may_leave_.store(true);
  closing.join();
  EXPECT_TRUE(sink_.wait_for_launches(1)[0].status.ok());
}

// As they are compared with: see bench/without.
TEST_F(CudaDeviceTest, EndsMayBeWaitedForInTheDriverAndLoadsHaveTheDeviceAlone) {
  CudaOptions options = small();
  options.wait_in_driver = true;
  options.load_alone = true;
  const auto device = start(options);
  EXPECT_EQ(device->shape().loader, device->shape().whole());
  cuda_.forget_calls();
  for (std::uint64_t id = 1; id <= 20; id += 2) {
    ASSERT_TRUE(launch(*device, id, {0, 1}).ok());
    ASSERT_TRUE(launch(*device, id + 1, {1, 1}).ok());
    sink_.wait_for_launches(id + 1);
    EXPECT_TRUE(sink_.wait_for_launches(id + 1).back().status.ok());
    device->retire({id});
    device->retire({id + 1});
  }
  const auto calls = cuda_.calls();
  EXPECT_GT(std::count(calls.begin(), calls.end(), "cuEventSynchronize"), 0);
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
