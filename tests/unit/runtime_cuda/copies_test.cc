// Requests of hundreds of kilobytes through the runtime to a CUDA device over a driver in memory: what a launch reads
// on the card is what its own request brought, however blocks and slots are used again.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_plan.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/unit/runtime/support.h"

namespace tessera::runtime::test {
namespace {

using device::test::FakeCuda;

constexpr std::int64_t kColumns = 150'528;  // 602,112 bytes an input
constexpr std::size_t kInput = static_cast<std::size_t>(kColumns) * sizeof(std::int32_t);

// Carries its two inputs from their slots to memory of its lane, and adds and subtracts what came there. Thread-safe.
class SlotPlan final : public device::CudaPlan {
 public:
  SlotPlan(const device::CudaDevice& device, const device::Driver& driver) : device_(device), driver_(driver) {
    for (CUdeviceptr& buffer : buffers_) {
      TESSERA_CHECK(driver_.mem_alloc(&buffer, 2 * kInput) == CUDA_SUCCESS);
      free_.push_back(buffer);
    }
  }

  Status enqueue(const Slice&, const device::LaunchQueue& queue, Batch& batch) const override {
    CUdeviceptr to = 0;
    {
      const std::lock_guard lock(mutex_);
      TESSERA_CHECK(!free_.empty());
      to = free_.back();
      free_.pop_back();
      by_batch_[&batch] = to;
    }
    for (const BatchInput& input : batch.inputs) {
      const auto slot = device_.slot_of(input.parts.at(0));
      if (!slot || !input.copied.at(0)) {
        return internal_error("an input is not on the card");
      }
      TESSERA_RETURN_IF_ERROR(
          driver_.check(driver_.memcpy_dtod_async(to, *slot, input.parts[0].size(), queue.run), "read a slot"));
      to += kInput;
    }
    return ok_status();
  }
  Status finish(const Slice&, Batch& batch) const override {
    CUdeviceptr at = 0;
    {
      const std::lock_guard lock(mutex_);
      at = by_batch_.at(&batch);
      by_batch_.erase(&batch);
    }
    Batch seen = batch;
    const auto* bytes = reinterpret_cast<const std::byte*>(at);
    seen.inputs[0].parts = {{bytes, kInput}};
    seen.inputs[1].parts = {{bytes + kInput, kInput}};
    const Status status = add_sub(seen);
    batch.outputs = seen.outputs;
    batch.output_memory = seen.output_memory;
    const std::lock_guard lock(mutex_);
    free_.push_back(at);
    return status;
  }

 private:
  const device::CudaDevice& device_;
  const device::Driver& driver_;
  std::array<CUdeviceptr, 16> buffers_{};
  mutable std::mutex mutex_;
  mutable std::vector<CUdeviceptr> free_;
  mutable std::map<const Batch*, CUdeviceptr> by_batch_;
};

class SlotModel final : public engine::LoadedModel {
 public:
  SlotModel(const device::CudaDevice& device, const device::Driver& driver) : plan_(device, driver) {}
  const engine::FileSignature& signature() const override { return signature_; }
  engine::MemoryUse memory() const override { return {}; }
  Result<const device::Plan*> prepare_home(std::int32_t, LaneIndex, const Slice&) override { return &plan_; }
  bool one_plan_per_slice() const override { return true; }

 private:
  engine::FileSignature signature_;
  SlotPlan plan_;
};

class RuntimeOverCuda : public testing::Test {
 protected:
  RuntimeOverCuda() {
    device::CudaOptions options;
    options.streams = 4;
    options.staging = {.total = {16 << 20}, .largest = {2 << 20}};
    auto device = *device::make_cuda_device(*device::Gpu::open(driver_, 0), options);
    auto model = std::make_unique<SlotModel>(*device, driver_);
    ServingOptions serving;
    serving.policy = "temporal";
    serving_ = *Serving::create(std::move(serving), std::move(device));
    auto instance = std::make_shared<model::Instance>();
    instance->id = {1};
    instance->name = "m";
    instance->version = 1;
    instance->signature = add_sub_signature(1, kColumns);
    instance->config.params.name = "m";
    instance->config.params.max_batch_size = 1;
    instance->config.params.buckets = {1};
    instance->engine_model = std::move(model);
    publish(*serving_, instance);
  }
  ~RuntimeOverCuda() override { cuda_.hold_copies(false); }

  // In a block of request memory, as a connection would have read it. nullptr: none is free.
  std::shared_ptr<TestCall> call(std::int32_t seed) {
    auto body = serving_->lease_body("m", {2 * kInput});
    if (!body.ok()) {
      return nullptr;
    }
    auto call = add_sub_call("m", seed, 1, kColumns);
    struct Held {
      Numbers numbers;
      std::shared_ptr<BodyMemory> body;
    };
    auto held = std::make_shared<Held>();
    held->numbers = *static_cast<const Numbers*>(call->request.memory.get());
    held->body = *body;
    auto bytes = (*body)->bytes();
    for (InputTensor& input : call->request.inputs) {
      std::memcpy(bytes.data(), input.tensor.data.data(), kInput);
      input.tensor.data = bytes.first(kInput);
      bytes = bytes.subspan(kInput);
    }
    call->request.memory = std::shared_ptr<const Numbers>(held, &held->numbers);
    return call;
  }

  FakeCuda cuda_;
  const device::Driver driver_ = FakeCuda::table();
  std::unique_ptr<Serving> serving_;
};

TEST_F(RuntimeOverCuda, ARequestIsQueuedToTheCardBeforeItsInputsAreThere) {
  cuda_.hold_copies(true);
  cuda_.forget_calls();
  const auto one = call(3);
  auto pending = send(*serving_, one);
  for (int i = 0; i < 10'000 && cuda_.count("cuMemcpyDtoDAsync") < 2; ++i) {
    std::this_thread::sleep_for(microseconds(100));
  }
  EXPECT_EQ(cuda_.count("cuMemcpyHtoDAsync"), 1U) << "two inputs side by side are one copy";
  EXPECT_EQ(cuda_.count("cuMemcpyDtoDAsync"), 2U);
  EXPECT_FALSE(answered(pending));
  cuda_.hold_copies(false);
  EXPECT_TRUE(add_sub_is_right(*one, pending.get()));
}

TEST_F(RuntimeOverCuda, EveryAnswerIsThatOfItsOwnRequest) {
  std::atomic<int> right{0};
  std::atomic<int> given_up{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937 random(static_cast<unsigned>(client));
      for (int i = 0; i < 40; ++i) {
        const auto one = call(client * 1000 + i);
        ASSERT_NE(one, nullptr);
        auto pending = send(*serving_, one);
        if (random() % 3 == 0) {
          serving_->cancel(*one);
        }
        const auto answer = pending.get();
        if (!answer.ok() && answer.error().code() == ErrorCode::kCancelled) {
          ++given_up;
        } else {
          ASSERT_TRUE(add_sub_is_right(*one, answer)) << client << ", " << i;
          ++right;
        }
      }
    });
  }
  for (auto& client : clients) {
    client.join();
  }
  EXPECT_EQ(right + given_up, 120);
  EXPECT_GT(right, 40);
}

TEST_F(RuntimeOverCuda, ABlockIsNotGivenOutAgainWhileACopyReadsIt) {
  cuda_.hold_copies(true);
  auto one = call(1);
  auto pending = send(*serving_, one);
  auto other = call(2);
  auto other_pending = send(*serving_, other);
  auto third = call(3);  // behind the two, so that it still waits
  auto third_pending = send(*serving_, third);
  const auto* const block = third->request.inputs[0].tensor.data.data();
  serving_->cancel(*third);
  EXPECT_EQ(third_pending.get().error().code(), ErrorCode::kCancelled);
  third.reset();
  EXPECT_EQ(call(4)->request.inputs[0].tensor.data.data(), block) << "nothing had read it";
  cuda_.hold_copies(false);
  EXPECT_TRUE(add_sub_is_right(*one, pending.get()));
  EXPECT_TRUE(add_sub_is_right(*other, other_pending.get()));
}

TEST_F(RuntimeOverCuda, ALostCardAnswersRequestsWhoseInputsAreOnTheirWay) {
  cuda_.hold_copies(true);
  std::vector<std::shared_ptr<TestCall>> calls;
  std::vector<std::future<Result<InferResponse>>> pending;
  for (int i = 1; i <= 4; ++i) {
    calls.push_back(call(i));
    pending.push_back(send(*serving_, calls.back()));
  }
  cuda_.break_down(CUDA_ERROR_ECC_UNCORRECTABLE);
  for (auto& answer : pending) {
    EXPECT_EQ(answer.get().error().code(), ErrorCode::kDeviceLost);
  }
}

}  // namespace
}  // namespace tessera::runtime::test
