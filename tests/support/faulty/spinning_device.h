// A GPU of whose launches one can be made not to end: a kernel that waits for ever goes ahead of it, in its slice.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/homed_graph.h"
#include "tests/support/cuda/probe_args.h"
#include "tests/support/cuda/probe_ptx.h"

namespace tessera::test_support {

// What the plan within queues, behind a graph. Immutable.
class BehindGraph final : public device::CudaPlan {
 public:
  BehindGraph(const device::CudaPlan& within, device::HomedGraph graph) : within_(within), graph_(std::move(graph)) {}

  Status enqueue(const Slice& slice, const device::LaunchQueue& queue, Batch& batch) const override {
    TESSERA_RETURN_IF_ERROR(graph_.launch(queue.run));
    return within_.enqueue(slice, queue, batch);
  }
  bool writes_end() const override { return within_.writes_end(); }
  bool copies_outputs(const Batch& batch) const override { return within_.copies_outputs(batch); }
  Status enqueue_outputs(CUstream stream, const Batch& batch) const override {
    return within_.enqueue_outputs(stream, batch);
  }
  Status finish(const Slice& slice, Batch& batch) const override { return within_.finish(slice, batch); }
  void abandon(Batch& batch) const override { within_.abandon(batch); }

 private:
  const device::CudaPlan& within_;
  const device::HomedGraph graph_;
};

// The probes' kernel that waits at a gate in the host's memory, as a graph. Owned by one thread at a time. What it has
// of the driver is not given back: where the gate stays shut, nothing of it may be.
class HoldGraph {
 public:
  static Result<HoldGraph> make(const device::Gpu& gpu, CUstream stream) {
    const device::CurrentContext current(gpu);
    TESSERA_RETURN_IF_ERROR(current.status());
    const device::Driver& driver = gpu.driver();
    CUlibrary library = nullptr;
    CUkernel kernel = nullptr;
    TESSERA_RETURN_IF_ERROR(driver.check(
        driver.library_load_data(&library, device::contract::kProbePtx, nullptr, nullptr, 0, nullptr, nullptr, 0),
        "load a kernel"));
    TESSERA_RETURN_IF_ERROR(driver.check(driver.library_get_kernel(&kernel, library, "hold"), "find a kernel"));
    // Else its first launch would load it, which may wait for what runs.
    CUfunction function = nullptr;
    TESSERA_RETURN_IF_ERROR(driver.check(driver.kernel_get_function(&function, kernel), "find a kernel's function"));
    TESSERA_RETURN_IF_ERROR(driver.check(driver.func_load(function), "load a kernel"));
    HoldGraph out;
    CUdeviceptr shared = 0;
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.mem_alloc(&shared, sizeof(device::contract::ProbeHold)), "take memory"));
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.memset_d8_async(shared, 0, sizeof(device::contract::ProbeHold), stream), "clear memory"));
    TESSERA_RETURN_IF_ERROR(driver.check(driver.stream_synchronize(stream), "clear memory"));
    void* gate = nullptr;
    TESSERA_RETURN_IF_ERROR(driver.check(driver.mem_host_alloc(&gate, sizeof(device::contract::ProbeGate),
                                                               CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP),
                                         "pin memory"));
    std::memset(gate, 0, sizeof(device::contract::ProbeGate));
    out.gate_ = static_cast<device::contract::ProbeGate*>(gate);
    std::array<void*, 2> values{&gate, &shared};
    TESSERA_ASSIGN_OR_RETURN(out.graph_, device::capture(gpu, stream, [&](CUstream on) {
                               return driver.check(
                                   driver.launch_kernel(reinterpret_cast<CUfunction>(kernel), kBlocks, 1, 1, kThreads,
                                                        1, 1, 0, on, values.data(), nullptr),
                                   "capture a kernel");
                             }));
    return out;
  }

  CUgraph graph() const { return graph_.get(); }
  void open() const { std::atomic_ref(gate_->open).store(1); }  // thread-safe

 private:
  HoldGraph() = default;

  static constexpr unsigned kBlocks = 32;
  static constexpr unsigned kThreads = 256;
  device::contract::ProbeGate* gate_ = nullptr;
  device::OwnedGraph graph_;
};

// As the device within, until it is asked to let a launch spin.
class SpinningDevice final : public device::Device {
 public:
  static Result<std::unique_ptr<SpinningDevice>> over(std::unique_ptr<device::CudaDevice> within) {
    TESSERA_ASSIGN_OR_RETURN(HoldGraph hold, HoldGraph::make(*within->gpu(), within->homing_stream()));
    return std::unique_ptr<SpinningDevice>(new SpinningDevice(std::move(within), std::move(hold)));
  }

  void spin_next() { armed_.store(true); }  // the next launch of a captured plan, whosever it is; thread-safe
  void end_spinning() { hold_.open(); }     // thread-safe

  const DeviceShape& shape() const override { return within_->shape(); }
  device::StagingPool& staging() override { return within_->staging(); }
  std::optional<std::uint16_t> atom_here() const override { return within_->atom_here(); }
  bool can_copy(std::span<const std::byte> bytes) const override { return within_->can_copy(bytes); }
  void set_sink(device::CompletionSink& sink) override { within_->set_sink(sink); }
  Status copy(const device::Copy& copy) override { return within_->copy(copy); }
  Result<device::Started> launch(const device::Launch& launch) override {
    const auto& plan = static_cast<const device::CudaPlan&>(*launch.plan);
    if (plan.worker(launch.slice) != nullptr || !armed_.exchange(false)) return within_->launch(launch);
    auto graph = home(launch.slice);
    if (!graph.ok()) {
      log(LogLevel::kError, "a launch cannot be made to spin", {{"reason", graph.error().message()}});
      return within_->launch(launch);
    }
    plans_.push_back(std::make_unique<BehindGraph>(plan, *std::move(graph)));
    device::Launch spinning = launch;
    spinning.plan = plans_.back().get();
    log(LogLevel::kWarning, "a launch spins",
        {{"atom", std::int64_t{launch.slice.first}}, {"atoms", std::int64_t{launch.slice.count}}});
    return within_->launch(spinning);
  }
  void run_here(LaunchId id) override { within_->run_here(id); }
  void cancel(LaunchId id) override { within_->cancel(id); }
  void retire(LaunchId id) override { within_->retire(id); }
  Status become_loader_thread() override { return within_->become_loader_thread(); }
  Result<Duration> run_borrowed(const device::Plan& plan, const Slice& slice, Batch& batch) override {
    return within_->run_borrowed(plan, slice, batch);
  }

 private:
  SpinningDevice(std::unique_ptr<device::CudaDevice> within, HoldGraph hold)
      : hold_(std::move(hold)), within_(std::move(within)) {}

  // The slice's context is there, as a plan has been homed in it.
  Result<device::HomedGraph> home(const Slice& slice) {
    const device::CurrentContext current(*within_->gpu());
    TESSERA_RETURN_IF_ERROR(current.status());
    TESSERA_ASSIGN_OR_RETURN(const CUcontext context, within_->context_of(slice));
    return device::HomedGraph::make(*within_->gpu(), hold_.graph(), context, within_->homing_stream());
  }

  std::atomic<bool> armed_{false};
  HoldGraph hold_;
  std::vector<std::unique_ptr<BehindGraph>> plans_;   // the role holder's; as long as the device
  const std::unique_ptr<device::CudaDevice> within_;  // last: it sees its launches to their end
};

}  // namespace tessera::test_support
