#include "tests/support/cuda/cuda_under_test.h"

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>

#include "base/check.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/worker_plan.h"

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

// The workers of all slices; none where probes need none.
class Workers {
 public:
  Workers(CudaDevice& device, ProbeForm form) {
    if (form != ProbeForm::kByWorker && form != ProbeForm::kMixed) {
      return;
    }
    for (const Slice& slice : device.shape().ladder) {
      auto worker = device.worker_of(slice);
      TESSERA_CHECK(worker.ok());
      by_slice_.emplace(slice, *worker);
    }
  }
  bool any() const { return !by_slice_.empty(); }
  StreamWorker* of(const Slice& slice) const {
    const auto found = by_slice_.find(slice);
    return found == by_slice_.end() ? nullptr : found->second.get();
  }

 private:
  std::map<Slice, std::shared_ptr<StreamWorker>> by_slice_;
};

// One run of a probe by a worker.
class RunByWorker final : public WorkerPlan {
 public:
  static Result<std::unique_ptr<RunByWorker>> make(const Workers& workers, const Slice& slice, const ProbeKit& kit,
                                                   const ProbeArgs& args) {
    StreamWorker* worker = workers.of(slice);
    if (worker == nullptr) {
      return invalid_argument("no worker is there");
    }
    return std::make_unique<RunByWorker>(*worker, slice, kit, args);
  }

  RunByWorker(StreamWorker& worker, const Slice& slice, const ProbeKit& kit, const ProbeArgs& args)
      : WorkerPlan(worker, slice), kit_(kit), args_(args) {}

 private:
  Status run(CUstream stream, Batch& /*batch*/) const override { return kit_.enqueue(slice(), stream, args_); }

  const ProbeKit& kit_;
  const ProbeArgs args_;
};

// Thread-safe.
class CudaProbe final : public Probe, public CudaPlan {
 public:
  // `workers`: nullptr where it is a graph.
  CudaProbe(const ProbeWork& work, std::shared_ptr<ProbeKit> kit, const Workers* workers)
      : work_(work), kit_(std::move(kit)), workers_(workers) {}

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
    if (workers_ != nullptr) {
      return enqueue_by_worker(slice, queue, batch, args);
    }
    return kit_->framed() ? kit_->enqueue(slice, queue, *slot, args) : kit_->enqueue(slice, queue.run, args);
  }

  StreamWorker* worker(const Slice& slice) const override {
    return workers_ != nullptr ? workers_->of(slice) : nullptr;
  }
  bool writes_end() const override { return kit_->framed(); }

  Status finish(const Slice& slice, Batch& batch) const override {
    if (const auto run = take_run(batch)) {
      TESSERA_RETURN_IF_ERROR(run->finish(slice, batch));
    }
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

  void abandon(Batch& batch) const override {
    if (const auto run = take_run(batch)) {
      run->abandon(batch);
    }
  }

 private:
  Status enqueue_by_worker(const Slice& slice, const LaunchQueue& queue, Batch& batch, const ProbeArgs& args) const {
    TESSERA_ASSIGN_OR_RETURN(auto run, RunByWorker::make(*workers_, slice, *kit_, args));
    TESSERA_RETURN_IF_ERROR(run->enqueue(slice, queue, batch));
    const std::lock_guard lock(mutex_);
    by_worker_.emplace(&batch, std::move(run));
    return ok_status();
  }
  std::unique_ptr<RunByWorker> take_run(const Batch& batch) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_worker_.find(&batch);
    if (found == by_worker_.end()) {
      return nullptr;
    }
    auto run = std::move(found->second);
    by_worker_.erase(found);
    return run;
  }

  const ProbeWork work_;
  const std::shared_ptr<ProbeKit> kit_;
  const Workers* const workers_;
  mutable std::mutex mutex_;
  mutable std::map<const Batch*, std::unique_ptr<RunByWorker>> by_worker_;
  mutable std::vector<ProbeSlot> slots_;
  mutable std::map<const Batch*, ProbeSlot> by_batch_;
};

class CudaUnderTest final : public DeviceUnderTest {
 public:
  CudaUnderTest(std::unique_ptr<CudaDevice> device, ProbeForm form)
      : gpu_(device->gpu()),
        device_(std::move(device)),
        kit_(std::make_shared<ProbeKit>(*device_, kSlots,
                                        form == ProbeForm::kFramed ? ProbeKit::Frame::kYes : ProbeKit::Frame::kNo)),
        workers_(*device_, form),
        form_(form) {}

  Device& device() override { return *device_; }
  void destroy_device() override { device_.reset(); }
  std::unique_ptr<Gate> make_gate() override { return std::make_unique<CudaGate>(gpu_); }
  std::unique_ptr<Probe> make_probe(const ProbeWork& work) override {
    const bool by_worker = workers_.any() && (form_ == ProbeForm::kByWorker || probes_++ % 2 == 0);
    return std::make_unique<CudaProbe>(work, kit_, by_worker ? &workers_ : nullptr);
  }
  bool commits_at_launch() const override { return !workers_.any(); }
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
  const Workers workers_;
  const ProbeForm form_;
  int probes_ = 0;
};

// Of a device whose slices have workers, which have streams of their own.
constexpr std::size_t kStreamsBesideWorkers = 14;

}  // namespace

std::unique_ptr<DeviceUnderTest> make_cuda_under_test(const Driver& driver, const char* spec, ProbeForm form) {
  auto gpu = Gpu::open(driver, parse_cuda_devices(spec)->front().gpu);
  if (!gpu.ok()) {
    ADD_FAILURE() << gpu.error().message();
    return nullptr;
  }
  const std::size_t streams =
      form == ProbeForm::kByWorker || form == ProbeForm::kMixed ? kStreamsBesideWorkers : CudaOptions{}.streams;
  return make_cuda_under_test(*std::move(gpu), spec, streams, form);
}

std::unique_ptr<DeviceUnderTest> make_cuda_under_test(std::shared_ptr<Gpu> gpu, const char* spec, std::size_t streams,
                                                      ProbeForm form) {
  CudaOptions options;
  options.spec = parse_cuda_devices(spec)->front();
  options.streams = streams;
  auto device = make_cuda_device(std::move(gpu), options);
  if (!device.ok()) {
    ADD_FAILURE() << device.error().message();
    return nullptr;
  }
  return std::make_unique<CudaUnderTest>(*std::move(device), form);
}

}  // namespace tessera::device::contract
