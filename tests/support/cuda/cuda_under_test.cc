#include "tests/support/cuda/cuda_under_test.h"

#include <atomic>
#include <cstring>
#include <mutex>

#include "base/check.h"
#include "device/cuda/cuda_plan.h"

namespace tessera::device::contract {
namespace {

// Thread-safe.
class CudaGate final : public Gate {
 public:
  explicit CudaGate(const std::shared_ptr<Gpu>& gpu) : memory_(gpu, sizeof(ProbeGate)) {}

  void open() override { std::atomic_ref(gate()->open).store(1); }
  int reached() const override { return static_cast<int>(std::atomic_ref(gate()->reached).load()); }
  ProbeGate* gate() const { return memory_.as<ProbeGate>(); }

 private:
  const MappedMemory memory_;
};

// Thread-safe.
class CudaProbe final : public Probe, public CudaPlan {
 public:
  CudaProbe(const ProbeWork& work, std::shared_ptr<ProbeKit> kit) : work_(work), kit_(std::move(kit)) {}

  const Plan& plan() const override { return *this; }

  std::vector<ProbeRun> runs() const override {
    const std::lock_guard lock(mutex_);
    std::vector<ProbeRun> runs;
    for (const ProbeSlot& slot : slots_) {
      if (std::atomic_ref(slot.note->ended).load() != 0) {
        runs.push_back({kit_->atoms_in(slot.note->sms), slot.note->began, slot.note->ended});
      }
    }
    return runs;
  }

  Status enqueue(const Slice& slice, const LaunchQueue& queue, Batch& batch) const override {
    const auto slot = kit_->take_slot();
    if (!slot) {
      return internal_error("no slot is left for a run of a probe");
    }
    std::size_t size = 0;
    for (const auto& part : batch.inputs.front().parts) {
      TESSERA_CHECK(size + part.size() <= kProbeBytes);
      std::memcpy(slot->input + size, part.data(), part.size());
      size += part.size();
    }
    {
      const std::lock_guard lock(mutex_);
      slots_.push_back(*slot);
      by_batch_[&batch] = *slot;
    }
    ProbeArgs args{};
    args.blocks = slot->blocks;
    args.note = slot->note;
    args.gate = work_.gate == nullptr ? nullptr : static_cast<CudaGate*>(work_.gate)->gate();
    args.input = slot->input;
    args.output = slot->output;
    args.busy_ns = static_cast<std::uint64_t>(work_.busy.count());
    args.bytes = static_cast<std::uint32_t>(size);
    args.fault = work_.outcome == Outcome::kFault ? ProbeFault::kTrap : ProbeFault::kNone;
    return kit_->framed() ? kit_->enqueue(slice, queue, *slot, args) : kit_->enqueue(slice, queue.run, args);
  }

  bool writes_end() const override { return kit_->framed(); }

  Status finish(const Slice& slice, Batch& batch) const override {
    static_cast<void>(slice);
    const std::lock_guard lock(mutex_);
    const ProbeSlot& slot = by_batch_.at(&batch);
    if (work_.outcome == Outcome::kFail) {
      return internal_error("the probe fails");
    }
    if (slot.note->scratch != 0) {
      return internal_error("the graph's memset or copy did not run in its place");
    }
    const Shape shape = batch.inputs.front().row_shape.with_first(batch.rows);
    TESSERA_ASSIGN_OR_RETURN(const std::size_t size, byte_size(batch.inputs.front().dtype, shape));
    batch.outputs = {{.dtype = batch.inputs.front().dtype,
                      .shape = shape,
                      .data = {reinterpret_cast<const std::byte*>(slot.output), size}}};
    batch.output_memory = kit_;
    return ok_status();
  }

 private:
  const ProbeWork work_;
  const std::shared_ptr<ProbeKit> kit_;
  mutable std::mutex mutex_;
  mutable std::vector<ProbeSlot> slots_;
  mutable std::map<const Batch*, ProbeSlot> by_batch_;
};

class CudaUnderTest final : public DeviceUnderTest {
 public:
  CudaUnderTest(std::unique_ptr<CudaDevice> device, ProbeKit::Frame frame)
      : gpu_(device->gpu()), device_(std::move(device)), kit_(std::make_shared<ProbeKit>(*device_, kSlots, frame)) {}

  Device& device() override { return *device_; }
  void destroy_device() override { device_.reset(); }
  std::unique_ptr<Gate> make_gate() override { return std::make_unique<CudaGate>(gpu_); }
  std::unique_ptr<Probe> make_probe(const ProbeWork& work) override { return std::make_unique<CudaProbe>(work, kit_); }
  bool commits_at_launch() const override { return true; }
  std::set<std::uint16_t> atoms_of_this_thread() override {
    // No thread of ours computes: what the loader thread queues for it does.
    const CurrentContext current(*gpu_);
    std::set<std::uint16_t> atoms;
    for (const unsigned sm : kit_->kernels().sms_of(device_->build_stream())) {
      atoms.insert(kit_->atom_of(sm).value_or(kElsewhere));
    }
    return atoms;
  }

 private:
  static constexpr std::size_t kSlots = 4096;

  const std::shared_ptr<Gpu> gpu_;
  std::unique_ptr<CudaDevice> device_;
  const std::shared_ptr<ProbeKit> kit_;
};

}  // namespace

std::unique_ptr<DeviceUnderTest> make_cuda_under_test(const Driver& driver, const char* spec, ProbeKit::Frame frame) {
  auto gpu = Gpu::open(driver, parse_cuda_devices(spec)->front().gpu);
  if (!gpu.ok()) {
    ADD_FAILURE() << gpu.error().message();
    return nullptr;
  }
  return make_cuda_under_test(*std::move(gpu), spec, CudaOptions{}.streams, frame);
}

std::unique_ptr<DeviceUnderTest> make_cuda_under_test(std::shared_ptr<Gpu> gpu, const char* spec, std::size_t streams,
                                                      ProbeKit::Frame frame) {
  CudaOptions options;
  options.spec = parse_cuda_devices(spec)->front();
  options.streams = streams;
  auto device = make_cuda_device(std::move(gpu), options);
  if (!device.ok()) {
    ADD_FAILURE() << device.error().message();
    return nullptr;
  }
  return std::make_unique<CudaUnderTest>(*std::move(device), frame);
}

}  // namespace tessera::device::contract
