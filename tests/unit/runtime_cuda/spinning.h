// A batch whose kernel does not end, on a CUDA device behind the runtime: over a driver in memory, and on a card.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_plan.h"
#include "tests/support/cuda/probe_kit.h"
#include "tests/unit/runtime/support.h"

namespace tessera::runtime::test {

// Runs a probe, which waits at the gate where one is given, and answers zeros. Thread-safe.
class ProbePlan final : public device::CudaPlan {
 public:
  ProbePlan(std::shared_ptr<device::contract::ProbeKit> kit, device::contract::ProbeGate* gate)
      : kit_(std::move(kit)), gate_(gate) {}

  Status enqueue(const Slice& slice, const device::LaunchQueue& queue, Batch& /*batch*/) const override {
    const auto slot = kit_->take_slot();
    TESSERA_CHECK(slot.has_value());
    device::contract::ProbeArgs args{};
    args.blocks = slot->blocks;
    args.note = slot->note;
    args.gate = gate_;
    args.input = slot->input;
    args.output = slot->output;
    return kit_->enqueue(slice, queue.run, args);
  }
  Status finish(const Slice& /*slice*/, Batch& batch) const override {
    static constexpr std::array<std::int32_t, 16> kZeros{};
    const auto bytes = std::as_bytes(std::span(kZeros));
    batch.outputs = {{DType::kInt32, {1, 16}, bytes}, {DType::kInt32, {1, 16}, bytes}};
    return ok_status();
  }

 private:
  const std::shared_ptr<device::contract::ProbeKit> kit_;
  device::contract::ProbeGate* const gate_;
};

class ProbeModel final : public engine::LoadedModel {
 public:
  ProbeModel(std::shared_ptr<device::contract::ProbeKit> kit, device::contract::ProbeGate* gate)
      : plan_(std::move(kit), gate) {}
  const engine::FileSignature& signature() const override { return signature_; }
  engine::MemoryUse memory() const override { return {}; }
  Result<const device::Plan*> prepare_home(std::int32_t, LaneIndex, const Slice&) override { return &plan_; }
  bool one_plan_per_slice() const override { return true; }

 private:
  engine::FileSignature signature_;
  ProbePlan plan_;
};

// Two models in slices; a kernel of one of them spins until the gate opens.
class Spinning {
 public:
  explicit Spinning(const device::Driver& driver) {
    const auto gpu = device::Gpu::open(driver, 0);
    TESSERA_CHECK(gpu.ok());
    device::CudaOptions options;
    options.streams = 8;
    options.staging = {.total = {16 << 20}, .largest = {2 << 20}};
    auto device = device::make_cuda_device(*gpu, options);
    TESSERA_CHECK(device.ok());
    gate_ = std::make_unique<device::contract::MappedMemory>(*gpu, sizeof(device::contract::ProbeGate));
    kit_ = std::make_shared<device::contract::ProbeKit>(**device);
    serving_ = *Serving::create({}, *std::move(device));
    add({1}, "spins", gate());
    add({2}, "other", nullptr);
  }
  ~Spinning() {
    std::atomic_ref(gate()->open).store(1);
    serving_.reset();
  }

  // The other model's requests answered, one after the other, and the longest that one took.
  Duration longest_of(int requests) {
    Duration longest{0};
    for (int i = 0; i < requests; ++i) {
      const TimePoint begin = now();
      const auto answer = send(*serving_, add_sub_call("other", i, 1)).get();
      EXPECT_TRUE(answer.ok()) << answer.error().message();
      longest = std::max(longest, now() - begin);
    }
    return longest;
  }

  void run() {
    longest_of(200);  // what is loaded at first, and learned
    const Duration alone = longest_of(200);
    const TimePoint begin = now();
    auto spins = send(*serving_, add_sub_call("spins", 1, 1));
    const Duration beside = longest_of(200);
    EXPECT_LT(beside, alone + std::chrono::milliseconds(500)) << "another slice waited";
    const auto error = spins.get().error();
    const Duration noticed = now() - begin;
    EXPECT_EQ(error.message(), "model 'spins' is out of service: a batch of it on device 'cuda:0' does not end");
    EXPECT_GE(noticed, std::chrono::seconds(2));
    EXPECT_LE(noticed, std::chrono::seconds(6));
    testing::Test::RecordProperty("noticed_ms", static_cast<int>(noticed / std::chrono::milliseconds(1)));
    EXPECT_FALSE(serving_->find("spins", std::nullopt).ok());
    EXPECT_EQ(serving_->device_statistics().stuck, 1U);
    EXPECT_LT(longest_of(200), alone + std::chrono::milliseconds(500));
    std::atomic_ref(gate()->open).store(1);
    for (int i = 0; i < 5000 && serving_->device_statistics().stuck != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(serving_->find("spins", std::nullopt).ok()) << "it has ended after all";
    EXPECT_TRUE(send(*serving_, add_sub_call("spins", 2, 1)).get().ok());
  }

 private:
  device::contract::ProbeGate* gate() const { return gate_->as<device::contract::ProbeGate>(); }

  void add(InstanceId id, const std::string& name, device::contract::ProbeGate* gate) {
    auto instance = std::make_shared<model::Instance>();
    instance->id = id;
    instance->name = name;
    instance->version = 1;
    instance->signature = add_sub_signature(1, 16);
    instance->config.params.name = name;
    instance->config.params.max_batch_size = 1;
    instance->config.params.buckets = {1};
    instance->config.params.max_share = 0.25;  // alone it would take the whole device now and then
    instance->engine_model = std::make_unique<ProbeModel>(kit_, gate);
    publish(*serving_, instance,
            sched::Profile({{1, 8, std::chrono::microseconds(100)}, {1, 132, std::chrono::microseconds(90)}}));
  }

  std::unique_ptr<device::contract::MappedMemory> gate_;
  std::shared_ptr<device::contract::ProbeKit> kit_;
  std::unique_ptr<Serving> serving_;
};

}  // namespace tessera::runtime::test
