#include "bench/cuda_device/frames.h"

#include <functional>
#include <memory>
#include <optional>

#include "device/cuda/device_memory.h"
#include "device/cuda/homed_graph.h"
#include "device/cuda/plan_frame.h"

namespace tessera::device::bench {
namespace {

constexpr std::uint64_t kAddresses = 64ULL << 20;
constexpr unsigned kThreads = 64;
constexpr unsigned kBlocks = 8;

CUdeviceptr address(const MappedMemory& memory) { return reinterpret_cast<CUdeviceptr>(memory.as<std::byte>()); }

// Memory of the card, zero at first.
class CardMemory {
 public:
  CardMemory(const std::shared_ptr<Gpu>& gpu, CUstream stream)
      : driver_(gpu->driver()),
        stream_(stream),
        region_(must(DeviceRegion::reserve(gpu, {kAddresses}, std::make_shared<MemoryBudget>(std::nullopt)))),
        heap_(*region_) {}

  CUdeviceptr take(std::size_t size) {
    const CUdeviceptr at = must(heap_.allocate(size));
    must(driver_.check(driver_.memset_d8_async(at, 0, size, stream_), "clear"));
    must(driver_.check(driver_.stream_synchronize(stream_), "clear"));
    return at;
  }

 private:
  const Driver& driver_;
  const CUstream stream_;
  std::unique_ptr<DeviceRegion> region_;
  RegionHeap heap_;
};

// A kernel that takes a while and one that notes the end, in each atom a lane of its own; with a frame or without.
class LanesPlan final : public TimedPlan {
 public:
  LanesPlan(CudaDevice& device, ProbeKit& kit, Duration busy, bool framed)
      : kit_(kit),
        framed_(framed),
        kernels_(must(PlanKernels::load(kit.gpu()))),
        memory_(kit.gpu(), device.loader_stream()),
        order_(memory_.take(sizeof(std::uint64_t))),
        scratch_(memory_.take(sizeof(std::uint32_t))) {
    for (std::uint16_t atom = 0; atom < device.shape().atoms(); ++atom) {
      lanes_.push_back(make_lane(device, atom, busy));
    }
  }

  Status enqueue(const Slice&, const LaunchQueue& queue, Batch& batch) const override {
    const Lane& lane = lanes_[static_cast<std::size_t>(batch.bucket)];
    write_control(lane.control->as<std::byte>(), queue.end_word, queue.end_number, {}, {});
    return lane.graph.launch(queue.run);
  }
  bool writes_end() const override { return framed_; }
  std::uint64_t ended_ns(const Batch& batch) const override {
    return lanes_[static_cast<std::size_t>(batch.bucket)].note->as<contract::ProbeNote>()->ended_ns;
  }

 private:
  struct Lane {
    std::unique_ptr<MappedMemory> control;
    std::unique_ptr<MappedMemory> note;
    std::unique_ptr<MappedMemory> bytes;
    HomedGraph graph;
  };

  Lane make_lane(CudaDevice& device, std::uint16_t atom, Duration busy) {
    const auto gpu = kit_.gpu();
    const Driver& driver = gpu->driver();
    auto control = std::make_unique<MappedMemory>(gpu, control_size(0));
    auto note = std::make_unique<MappedMemory>(gpu, sizeof(contract::ProbeNote));
    auto bytes = std::make_unique<MappedMemory>(gpu, std::size_t{2 * contract::kProbeBytes});
    const CUdeviceptr blocks = memory_.take(sizeof(contract::ProbeBlocks));
    ProbeArgs args{};
    args.order = reinterpret_cast<unsigned long long*>(order_);
    args.blocks = reinterpret_cast<contract::ProbeBlocks*>(blocks);
    args.note = note->as<contract::ProbeNote>();
    args.input = bytes->as<unsigned char>();
    args.output = bytes->as<unsigned char>() + contract::kProbeBytes;
    args.scratch = reinterpret_cast<const std::uint32_t*>(scratch_);
    args.busy_ns = static_cast<std::uint64_t>(busy.count());
    void* values[] = {&args};
    const auto queue = [&](CUkernel kernel, CUstream on) {
      return driver.check(driver.launch_kernel(reinterpret_cast<CUfunction>(kernel), kBlocks, 1, 1, kThreads, 1, 1, 0,
                                               on, values, nullptr),
                          "capture a kernel");
    };
    const OwnedGraph source = must(capture(*gpu, device.loader_stream(), [&](CUstream on) -> Status {
      TESSERA_RETURN_IF_ERROR(
          driver.check(driver.memset_d8_async(blocks, 0, sizeof(contract::ProbeBlocks), on), "capture a memset"));
      TESSERA_RETURN_IF_ERROR(queue(kit_.kernels().begin(), on));
      return queue(kit_.kernels().answer(), on);
    }));
    if (framed_) {
      must(kernels_->frame(source.get(), address(*control), memory_.take(kFrameBytes), {0}, {0}));
    }
    HomedGraph graph =
        must(HomedGraph::make(*gpu, source.get(), must(device.context_of({atom, 1})), device.loader_stream()));
    return {std::move(control), std::move(note), std::move(bytes), std::move(graph)};
  }

  ProbeKit& kit_;
  const bool framed_;
  const std::shared_ptr<const PlanKernels> kernels_;
  CardMemory memory_;
  const CUdeviceptr order_;
  const CUdeviceptr scratch_;
  std::vector<Lane> lanes_;
};

// One framed graph that does nothing else, and what it takes from its launch until its end is seen.
class InputBench {
 public:
  InputBench(CudaDevice& device, ProbeKit& kit)
      : device_(device),
        gpu_(kit.gpu()),
        driver_(gpu_->driver()),
        nothing_(kit.kernels().function("nothing")),
        kernels_(must(PlanKernels::load(gpu_))),
        memory_(gpu_, device.loader_stream()),
        to_(memory_.take(kLargest)),
        scratch_(memory_.take(kFrameBytes)),
        input_(gpu_, kLargest),
        control_(gpu_, control_size(0)),
        end_(gpu_, sizeof(std::uint32_t)) {}

  static constexpr std::size_t kLargest = 602'112;

  HomedGraph framed(std::uint16_t atoms, std::size_t bytes) const {
    const OwnedGraph source = must(capture(*gpu_, stream(), [&](CUstream on) {
      return driver_.check(driver_.launch_kernel(nothing_, 1, 1, 1, kThreads, 1, 1, 0, on, nullptr, nullptr),
                           "capture a kernel");
    }));
    must(kernels_->frame(source.get(), address(control_), scratch_, {bytes}, {0}));
    return must(HomedGraph::make(*gpu_, source.get(), must(device_.context_of({0, atoms})), stream()));
  }

  // `queue` gets the number that its last command has to write.
  std::string measure(const std::function<void(std::uint32_t number)>& queue) {
    constexpr int kRuns = 1000;
    Samples samples;
    Samples cpu;
    for (int i = 0; i < kRuns; ++i) {
      const std::uint32_t number = ++number_;
      const TimePoint begin = now();
      queue(number);
      cpu.add(now() - begin);
      while (std::atomic_ref(*end_.as<std::uint32_t>()).load(std::memory_order_acquire) != number) {
      }
      samples.add(now() - begin);
      must(driver_.check(driver_.stream_synchronize(stream()), "run"));
    }
    return "{\"until_seen_us\":" + samples.json() + ",\"cpu_us\":" + cpu.json() + "}";
  }

  std::string gathered(std::uint16_t atoms, std::size_t bytes, MoveForm form) {
    const HomedGraph graph = framed(atoms, bytes);
    const Move move{address(input_), to_, static_cast<std::uint32_t>(bytes), form};
    return measure([&](std::uint32_t number) {
      write_control(control_.as<std::byte>(), address(end_), number, {&move, 1}, {});
      must(graph.launch(stream()));
    });
  }
  // By a copy engine, after which the graph runs.
  std::string copied(std::size_t bytes) {
    const HomedGraph graph = framed(1, 0);
    return measure([&](std::uint32_t number) {
      write_control(control_.as<std::byte>(), address(end_), number, {}, {});
      must(driver_.check(driver_.memcpy_htod_async(to_, input_.as<std::byte>(), bytes, stream()), "copy"));
      must(graph.launch(stream()));
    });
  }
  // The copy alone.
  std::string copied_only(std::size_t bytes) {
    return measure([&](std::uint32_t number) {
      must(driver_.check(driver_.memcpy_htod_async(to_, input_.as<std::byte>(), bytes, stream()), "copy"));
      must(driver_.check(driver_.stream_write_value(stream(), address(end_), number, 0), "write"));
    });
  }

 private:
  CUstream stream() const { return device_.loader_stream(); }

  CudaDevice& device_;
  const std::shared_ptr<Gpu> gpu_;
  const Driver& driver_;
  const CUfunction nothing_;
  const std::shared_ptr<const PlanKernels> kernels_;
  CardMemory memory_;
  const CUdeviceptr to_;
  const CUdeviceptr scratch_;
  const MappedMemory input_;
  const MappedMemory control_;
  const MappedMemory end_;
  std::uint32_t number_ = 0;
};

}  // namespace

void framed_ends(CudaDevice& device, ProbeKit& kit, CardClock& clock) {
  const CurrentContext current(*kit.gpu());
  for (const bool framed : {true, false}) {
    const std::string by = framed ? "end_by_scatter_kernel_" : "end_by_stream_";
    const LanesPlan plan(device, kit, microseconds(500), framed);
    closed_loop((by + "one_in_flight").c_str(), device, plan, clock, 1, 1000);
    closed_loop((by + "all_atoms_in_flight").c_str(), device, plan, clock, device.shape().atoms(), 300);
  }
}

void inputs(CudaDevice& device, ProbeKit& kit) {
  const CurrentContext current(*kit.gpu());
  InputBench bench(device, kit);
  for (const std::size_t bytes : {std::size_t{4096}, std::size_t{65'536}, InputBench::kLargest}) {
    const std::string size = std::to_string(bytes);
    print("copy_engine_alone_" + size, bench.copied_only(bytes));
    print("copy_engine_then_graph_" + size, bench.copied(bytes));
  }
  for (const std::uint16_t atoms : {1, 4, 16}) {
    if (atoms > device.shape().atoms()) {
      continue;
    }
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{4096}, std::size_t{65'536}, InputBench::kLargest}) {
      print("gather_in_" + std::to_string(atoms) + "_atoms_" + std::to_string(bytes),
            bench.gathered(atoms, bytes, kCopy));
    }
    print("gather_in_" + std::to_string(atoms) + "_atoms_fp32_to_fp16_301056_written",
          bench.gathered(atoms, InputBench::kLargest / 2, kFp32ToFp16));
  }
}

}  // namespace tessera::device::bench
