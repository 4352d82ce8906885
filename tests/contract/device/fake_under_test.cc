// The contract on the device without processors.
#include <atomic>
#include <mutex>
#include <optional>

#include "device/fake/fake_device.h"
#include "tests/contract/device/device_contract.h"

namespace tessera::device::contract {
namespace {

constexpr Duration kStep = std::chrono::microseconds(100);  // of the manual clock

class FakeUnderTest;

// Thread-safe.
class FakeGate final : public Gate {
 public:
  explicit FakeGate(FakeUnderTest& under_test) : under_test_(under_test) {}
  void open() override;
  int reached() const override { return reached_; }

  bool is_open() const { return open_; }
  void reach() { ++reached_; }

 private:
  FakeUnderTest& under_test_;
  std::atomic<bool> open_{false};
  std::atomic<int> reached_{0};
};

// Thread-safe.
class FakeProbe final : public Probe, public FakePlan {
 public:
  FakeProbe(const ProbeWork& work, std::atomic<std::uint64_t>& order) : work_(work), order_(order) {}

  const Plan& plan() const override { return *this; }
  std::vector<ProbeRun> runs() const override {
    const std::lock_guard lock(mutex_);
    std::vector<ProbeRun> ended;
    for (const ProbeRun& run : runs_) {
      if (run.ended != 0) {
        ended.push_back(run);
      }
    }
    return ended;
  }

  void begin(const Slice& slice) const override {
    ProbeRun run;
    run.began = order_.fetch_add(1);
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      run.atoms.insert(atom);
    }
    if (gate() != nullptr) {
      gate()->reach();
    }
    const std::lock_guard lock(mutex_);
    runs_.push_back(run);
  }
  std::optional<Duration> latency(const Slice& slice, const Batch& batch) const override {
    static_cast<void>(slice);
    static_cast<void>(batch);
    return gate() == nullptr || gate()->is_open() ? std::optional(work_.busy) : std::nullopt;
  }
  Status finish(const Slice& slice, Batch& batch) const override {
    note_end(slice);
    switch (work_.outcome) {
      case Outcome::kFail:
        return internal_error("the probe fails");
      case Outcome::kFault:
        return Error(ErrorCode::kDeviceLost, "the probe breaks the processor");
      case Outcome::kOk:
        break;
    }
    const auto memory = std::make_shared<std::vector<std::byte>>();
    for (const auto& part : batch.inputs.front().parts) {
      for (const std::byte input : part) {
        memory->push_back(answer_to(input));
      }
    }
    batch.outputs = {{.dtype = batch.inputs.front().dtype,
                      .shape = batch.inputs.front().row_shape.with_first(batch.rows),
                      .data = *memory}};
    batch.output_memory = memory;
    return ok_status();
  }

 private:
  FakeGate* gate() const { return static_cast<FakeGate*>(work_.gate); }

  // A probe may run in several slices at once.
  void note_end(const Slice& slice) const {
    const std::lock_guard lock(mutex_);
    for (ProbeRun& run : runs_) {
      if (run.ended == 0 && *run.atoms.begin() == slice.first && run.atoms.size() == slice.count) {
        run.ended = order_.fetch_add(1);
        return;
      }
    }
    ADD_FAILURE() << "a run ended that did not begin";
  }

  const ProbeWork work_;
  std::atomic<std::uint64_t>& order_;
  mutable std::mutex mutex_;
  mutable std::vector<ProbeRun> runs_;
};

class FakeUnderTest final : public DeviceUnderTest {
 public:
  explicit FakeUnderTest(const FakeOptions& options)
      : options_(options), device_(std::make_unique<FakeDevice>(options)) {}

  static std::unique_ptr<DeviceUnderTest> make(const FakeOptions& options) {
    return std::make_unique<FakeUnderTest>(options);
  }

  Device& device() override { return *device_; }
  void destroy_device() override {
    const std::lock_guard lock(destruction_);
    device_.reset();
  }
  std::unique_ptr<Gate> make_gate() override { return std::make_unique<FakeGate>(*this); }
  std::unique_ptr<Probe> make_probe(const ProbeWork& work) override {
    return std::make_unique<FakeProbe>(work, order_);
  }
  bool commits_at_launch() const override { return options_.commits_at_launch; }
  void let_time_pass() override {
    if (options_.clock == FakeOptions::Clock::kManual) {
      device_->advance(kStep);
    }
  }
  std::set<std::uint16_t> atoms_of_this_thread() override {
    const Slice slice = device_->is_loader_thread() ? device_->shape().loader : device_->shape().whole();
    std::set<std::uint16_t> atoms;
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      atoms.insert(atom);
    }
    return atoms;
  }
  // Called by whichever thread opens a gate, also while the device is being destroyed.
  void wake() {
    const std::lock_guard lock(destruction_);
    if (device_) {
      device_->wake();
    }
  }

 private:
  const FakeOptions options_;
  std::atomic<std::uint64_t> order_{1};
  std::mutex destruction_;
  std::unique_ptr<FakeDevice> device_;
};

void FakeGate::open() {
  open_ = true;
  under_test_.wake();
}

using Clock = FakeOptions::Clock;

INSTANTIATE_TEST_SUITE_P(
    Fake, DeviceContract,
    testing::Values(
        DeviceKind{"manual_clock", [] { return FakeUnderTest::make({.atoms = 4, .clock = Clock::kManual}); }},
        DeviceKind{
            "manual_clock_commits_at_launch",
            [] { return FakeUnderTest::make({.atoms = 8, .clock = Clock::kManual, .commits_at_launch = true}); }},
        DeviceKind{"manual_clock_copies",
                   [] { return FakeUnderTest::make({.atoms = 4, .clock = Clock::kManual, .copies = 2}); }},
        DeviceKind{"real_clock", [] { return FakeUnderTest::make({.atoms = 4, .clock = Clock::kReal, .copies = 2}); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tessera::device::contract
