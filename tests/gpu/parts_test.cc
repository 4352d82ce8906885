// Parts of one card as devices of their own, at the same time.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "tests/support/cuda/cuda_under_test.h"

namespace tessera::device::contract {
namespace {

// Of each half, so that both fit beside what each has for itself.
constexpr std::size_t kStreams = Gpu::kMaxStreams / 2 - other_streams(CudaOptions::kCopies);

// One part under test, with who dispatches to it.
class Part {
 public:
  Part(const std::shared_ptr<Gpu>& gpu, const char* spec) : under_test_(make_cuda_under_test(gpu, spec, kStreams)) {
    under_test_->device().set_sink(inbox_);
  }

  DeviceUnderTest& under_test() { return *under_test_; }
  Slice whole() { return under_test_->device().shape().whole(); }

  void launch(const Probe& probe, const Slice& slice) {
    Batch& batch = batches_.emplace_back();
    batch.rows = batch.bucket = 1;
    BatchInput input{.dtype = DType::kUint8, .row_shape = {static_cast<std::int64_t>(bytes_.size())}, .parts = {}};
    input.parts.emplace_back(bytes_);
    batch.inputs.push_back(input);
    const LaunchId id{++launched_};
    EXPECT_TRUE(under_test_->device().launch({.id = id, .slice = slice, .plan = &probe.plan(), .batch = &batch}).ok());
  }
  bool all_end(std::chrono::seconds within) {
    for (const TimePoint end = now() + within; ended_ < launched_ && now() < end;) {
      for (const auto& report : inbox_.take()) {
        const auto* completion = std::get_if<Completion>(&report);
        EXPECT_TRUE(completion != nullptr && completion->status.ok());
        if (completion != nullptr) {
          under_test_->device().retire(completion->id);
          ++ended_;
        }
      }
    }
    return ended_ == launched_;
  }

 private:
  Inbox inbox_;
  const std::vector<std::byte> bytes_ = std::vector<std::byte>(48);
  std::deque<Batch> batches_;
  std::unique_ptr<DeviceUnderTest> under_test_;
  std::uint64_t launched_ = 0;
  std::uint64_t ended_ = 0;
};

TEST(PartsTest, TwoHalvesOfACardServeAtOnce) {
  if (!host_driver().ok()) {
    GTEST_SKIP() << host_driver().error().message();
  }
  const auto gpu = Gpu::open(*host_driver(), 0);
  ASSERT_TRUE(gpu.ok()) << gpu.error().message();
  auto lower = std::make_unique<Part>(*gpu, "cuda:0/0-7");
  Part upper(*gpu, "cuda:0/8-15");
  const auto gate = lower->under_test().make_gate();
  const auto held = lower->under_test().make_probe({.gate = gate.get()});
  const auto behind = lower->under_test().make_probe({});
  const auto probe = upper.under_test().make_probe({.busy = std::chrono::microseconds(50)});
  lower->launch(*held, lower->whole());
  lower->launch(*behind, {0, 1});
  for (int i = 0; i < 100; ++i) {
    upper.launch(*probe, i % 2 == 0 ? upper.whole() : Slice{static_cast<std::uint16_t>(i % 8), 1});
    EXPECT_TRUE(upper.all_end(std::chrono::seconds(10))) << "one half holds up the other";
  }
  EXPECT_TRUE(behind->runs().empty());
  gate->open();
  EXPECT_TRUE(lower->all_end(std::chrono::seconds(10)));
  for (const ProbeRun& run : probe->runs()) {
    EXPECT_FALSE(run.atoms.contains(kElsewhere)) << "it ran on the other half";
  }
  for (const ProbeRun& run : held->runs()) {
    EXPECT_FALSE(run.atoms.contains(kElsewhere)) << "it ran on the other half";
  }
  lower->under_test().destroy_device();
  upper.launch(*probe, upper.whole());
  EXPECT_TRUE(upper.all_end(std::chrono::seconds(10))) << "one half outlives the other";
}

}  // namespace
}  // namespace tessera::device::contract
