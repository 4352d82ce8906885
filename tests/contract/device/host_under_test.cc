// The contract on the host's cores.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/affinity.h"
#include "base/clock.h"
#include "device/host/host_device.h"
#include "device/host/host_plan.h"
#include "device/host/topology.h"
#include "tests/contract/device/device_contract.h"

namespace tessera::device::contract {
namespace {

// Thread-safe.
class HostGate final : public Gate {
 public:
  void open() override {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int reached() const override {
    const std::lock_guard lock(mutex_);
    return reached_;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    ++reached_;
    changed_.wait(lock, [this] { return open_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int reached_ = 0;
};

// Thread-safe.
class HostProbe final : public Probe, public HostPlan {
 public:
  HostProbe(const ProbeWork& work, const HostTopology& topology, std::atomic<std::uint64_t>& order)
      : work_(work), topology_(topology), order_(order) {}

  const Plan& plan() const override { return *this; }
  std::vector<ProbeRun> runs() const override {
    const std::lock_guard lock(mutex_);
    return runs_;
  }

  Status run(const Slice& slice, Batch& batch) const override {
    static_cast<void>(slice);
    ProbeRun noted;
    noted.began = order_.fetch_add(1);
    noted.atoms.insert(here());
    if (work_.gate != nullptr) {
      static_cast<HostGate*>(work_.gate)->wait();
      noted.atoms.insert(here());
    }
    for (const TimePoint end = now() + work_.busy; now() < end;) {
      noted.atoms.insert(here());
    }
    answer(batch);
    noted.ended = order_.fetch_add(1);
    {
      const std::lock_guard lock(mutex_);
      runs_.push_back(noted);
    }
    switch (work_.outcome) {
      case Outcome::kFail:
        return internal_error("the probe fails");
      case Outcome::kFault:
        return Error(ErrorCode::kDeviceLost, "the probe breaks the processor");
      case Outcome::kOk:
        break;
    }
    return ok_status();
  }

 private:
  std::uint16_t here() const { return topology_.atom_of(current_cpu()).value_or(kElsewhere); }

  static void answer(Batch& batch) {
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
  }

  const ProbeWork work_;
  const HostTopology& topology_;
  std::atomic<std::uint64_t>& order_;
  mutable std::mutex mutex_;
  mutable std::vector<ProbeRun> runs_;
};

class HostUnderTest final : public DeviceUnderTest {
 public:
  HostUnderTest(std::unique_ptr<Device> device, HostTopology topology)
      : topology_(std::move(topology)), device_(std::move(device)) {}

  static std::unique_ptr<DeviceUnderTest> make(const std::vector<int>& cores) {
    HostOptions options;
    options.cores = cores;
    auto device = make_host_device(options);
    auto topology = HostTopology::of(cores);
    if (!device.ok() || !topology.ok()) {
      return nullptr;
    }
    return std::make_unique<HostUnderTest>(*std::move(device), *std::move(topology));
  }

  Device& device() override { return *device_; }
  void destroy_device() override { device_.reset(); }
  std::unique_ptr<Gate> make_gate() override { return std::make_unique<HostGate>(); }
  std::unique_ptr<Probe> make_probe(const ProbeWork& work) override {
    return std::make_unique<HostProbe>(work, topology_, order_);
  }
  bool commits_at_launch() const override { return false; }
  std::set<std::uint16_t> atoms_of_this_thread() override {
    std::set<std::uint16_t> atoms;
    for (const int cpu : cpus_of_this_thread()->list()) {
      atoms.insert(topology_.atom_of(cpu).value_or(kElsewhere));
    }
    return atoms;
  }

 private:
  const HostTopology topology_;
  std::atomic<std::uint64_t> order_{1};
  std::unique_ptr<Device> device_;
};

std::vector<int> reversed_cores() {
  auto cores = allowed_cpus()->list();
  return {cores.rbegin(), cores.rend()};
}

INSTANTIATE_TEST_SUITE_P(
    Host, DeviceContract,
    testing::Values(DeviceKind{"all_cores", [] { return HostUnderTest::make({}); }},
                    DeviceKind{"cores_in_another_order", [] { return HostUnderTest::make(reversed_cores()); }},
                    DeviceKind{"one_core", [] { return HostUnderTest::make({allowed_cpus()->list().back()}); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tessera::device::contract
