// What tests on a GPU launch: probe kernels, captured once with a memset and a copy between them, and homed in slices.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/homed_graph.h"
#include "device/cuda/plan_frame.h"
#include "tests/support/cuda/probe_args.h"

namespace tessera::device::contract {

// The driver of this host, or why there is none. Opened once a process.
const Result<Driver>& host_driver();

// Memory of the host that the card reads and writes at the same address. Owned by one thread at a time.
class MappedMemory {
 public:
  MappedMemory(std::shared_ptr<Gpu> gpu, std::size_t size);
  ~MappedMemory();
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  std::shared_ptr<Gpu> gpu_;
  void* data_ = nullptr;
};

// The kernels in a card's context.
class ProbeKernels {
 public:
  explicit ProbeKernels(std::shared_ptr<Gpu> gpu);
  ~ProbeKernels();
  ProbeKernels(const ProbeKernels&) = delete;
  ProbeKernels& operator=(const ProbeKernels&) = delete;

  CUkernel begin() const { return begin_; }
  CUkernel answer() const { return answer_; }
  CUfunction function(const char* name) const;  // for cuLaunchKernel

  // The processors that work in a context, or on a stream, runs on.
  std::set<unsigned> sms_of(CUcontext context) const;
  std::set<unsigned> sms_of(CUstream stream) const;

 private:
  std::shared_ptr<Gpu> gpu_;
  CUlibrary library_ = nullptr;
  CUkernel begin_ = nullptr;
  CUkernel answer_ = nullptr;
  CUkernel note_sms_ = nullptr;
};

// One run's memory. Good for one run.
struct ProbeSlot {
  ProbeBlocks* blocks = nullptr;  // the card's
  ProbeNote* note = nullptr;
  unsigned char* input = nullptr;
  unsigned char* output = nullptr;
  std::byte* control = nullptr;  // these where the probe is framed
  CUdeviceptr frame = 0;
};

// Captures the probe and homes it. Thread-safe but for launches of one slice, which one thread makes at a time.
class ProbeKit {
 public:
  // Copies of the homed probe in each slice, taken in turn: the driver itself orders two runs of one copy, which
  // would hide it if the device did not.
  static constexpr std::size_t kCopies = 3;

  // Framed: the kernels that frame plans move the probe's input and output, and say that it has ended.
  enum class Frame { kNo, kYes };

  explicit ProbeKit(CudaDevice& device, std::size_t slots = 4096, Frame frame = Frame::kNo);
  ~ProbeKit();

  std::optional<ProbeSlot> take_slot();

  // Queues a run in the slice; `args` lacks order and scratch.
  Status enqueue(const Slice& slice, CUstream stream, ProbeArgs args) const;
  // The same of a framed probe, which writes the end's word.
  Status enqueue(const Slice& slice, const LaunchQueue& queue, const ProbeSlot& slot, ProbeArgs args) const;
  bool framed() const { return plan_kernels_ != nullptr; }

  // The device's atom with that processor; nothing for one that it does not have.
  std::optional<std::uint16_t> atom_of(unsigned sm) const;
  std::set<std::uint16_t> atoms_in(const std::uint32_t (&sms)[kSmWords]) const;
  const std::vector<std::set<unsigned>>& sms() const { return sms_; }  // by atom

  const ProbeKernels& kernels() const { return kernels_; }
  CUgraph source() const { return source_.get(); }
  std::shared_ptr<Gpu> gpu() const { return gpu_; }

 private:
  struct Homed {
    HomedGraph graph;
    HomedGraph::Kernel begin;
    HomedGraph::Kernel answer;
    HomedGraph::Kernel gather;  // these where the probe is framed
    HomedGraph::Kernel scatter;
  };

  void find_atoms(CudaDevice& device);
  void capture_source(CUstream stream);
  void frame_source();
  const Homed& next_copy(const Slice& slice) const;
  Status launch(const Homed& homed, CUstream stream, ProbeArgs args) const;
  Homed home(CUcontext context, CUstream stream) const;

  std::shared_ptr<Gpu> gpu_;
  ProbeKernels kernels_;
  unsigned processors_ = 0;  // of the card: so many blocks would use them all
  std::vector<std::set<unsigned>> sms_;

  OwnedDeviceMemory card_memory_;  // order, scratch, frames, blocks
  unsigned long long* order_ = nullptr;
  std::uint32_t* scratch_ = nullptr;
  CUdeviceptr frames_ = 0;
  ProbeBlocks* blocks_ = nullptr;
  std::unique_ptr<MappedMemory> notes_;
  std::unique_ptr<MappedMemory> bytes_;
  std::unique_ptr<MappedMemory> controls_;
  std::shared_ptr<const PlanKernels> plan_kernels_;

  OwnedGraph source_;
  CUgraphNode begin_node_ = nullptr;
  CUgraphNode answer_node_ = nullptr;
  CUgraphNode gather_node_ = nullptr;
  CUgraphNode scatter_node_ = nullptr;
  std::map<Slice, std::vector<Homed>> homed_;
  mutable std::map<Slice, std::size_t> turn_;
  mutable std::mutex mutex_;  // guards turn_ and next_slot_
  const std::size_t slots_;
  std::size_t next_slot_ = 0;
};

}  // namespace tessera::device::contract
