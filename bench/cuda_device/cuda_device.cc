// What a GPU device costs: making slices and homed graphs, launching, seeing ends; and which operations wait for
// kernels that run, or make launches wait. Prints one JSON object.
//
// usage: bench_cuda_device [cuda:N]
#include <dlfcn.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/cuda_device/frames.h"
#include "bench/cuda_device/gaps.h"
#include "bench/cuda_device/kit.h"
#include "device/cuda/device_memory.h"
#include "device/cuda/graph_audit.h"
#include "tests/support/cuda/probe_ptx.h"

namespace tessera::device::bench {
namespace {

constexpr std::size_t kSlots = 98304;
constexpr std::int32_t kChain = 200;
constexpr std::uint64_t kRegion = 8ULL << 30;
constexpr std::uint64_t kGrowth = 16 << 20;

// Ways in which a thread can see that a graph has ended, from the last instruction of its last kernel on.
void ways_to_see(CudaDevice& device, ProbeKit& kit, CardClock& clock) {
  constexpr int kRuns = 1000;
  const Driver& driver = kit.gpu()->driver();
  const CurrentContext current(*kit.gpu());
  const CUstream stream = device.loader_stream();
  CUevent event = nullptr;
  must(driver.check(driver.event_create(&event, CU_EVENT_DISABLE_TIMING), "make an event"));
  const OwnedEvent owned(driver, event);
  const MappedMemory memory(kit.gpu(), 64);
  auto* word = memory.as<std::uint32_t>();
  Samples write_cpu;
  Samples record_cpu;
  Samples query_cpu;
  for (const char* way : {"see_by_event", "see_by_word_of_stream", "see_by_word_of_kernel"}) {
    const std::string_view name(way);
    std::vector<std::pair<std::uint64_t, TimePoint>> samples;
    clock.read();
    for (int i = 1; i <= kRuns; ++i) {
      const auto slot = kit.take_slot();
      TESSERA_CHECK(slot.has_value());
      ProbeArgs args{};
      args.blocks = slot->blocks;
      args.note = slot->note;
      args.input = slot->input;
      args.output = slot->output;
      args.busy_ns = 30'000;
      must(kit.enqueue({0, 1}, stream, args));
      if (name == "see_by_word_of_stream") {
        write_cpu.add(timed([&] {
          must(driver.check(
              driver.stream_write_value(stream, reinterpret_cast<CUdeviceptr>(word), static_cast<cuuint32_t>(i), 0),
              "write"));
        }));
        while (std::atomic_ref(*word).load(std::memory_order_acquire) != static_cast<std::uint32_t>(i)) {
        }
      } else if (name == "see_by_event") {
        record_cpu.add(timed([&] { must(driver.check(driver.event_record(event, stream), "record")); }));
        CUresult result = CUDA_ERROR_NOT_READY;
        while (result == CUDA_ERROR_NOT_READY) {
          query_cpu.add(timed([&] { result = driver.event_query(event); }));
        }
        must(driver.check(result, "run"));
      } else {
        while (std::atomic_ref(slot->note->ended).load(std::memory_order_acquire) == 0) {
        }
      }
      const TimePoint seen = now();
      must(driver.check(driver.stream_synchronize(stream), "run"));
      samples.emplace_back(slot->note->ended_ns, seen);
    }
    clock.read();
    Samples latency;
    for (const auto& [card_ns, seen] : samples) {
      latency.add((static_cast<double>(seen.time_since_epoch().count()) - clock.host_ns(card_ns)) / 1000);
    }
    print(way, latency.json());
  }
  print("cpu_of_writing_a_word", write_cpu.json());
  print("cpu_of_recording_an_event", record_cpu.json());
  print("cpu_of_asking_for_an_event", query_cpu.json());
}

OwnedGraph chain(ProbeKit& kit, CUstream stream, CUdeviceptr memory) {
  const Driver& driver = kit.gpu()->driver();
  const CUfunction nothing = kit.kernels().function("nothing");
  return must(capture(*kit.gpu(), stream, [&](CUstream on) -> Status {
    for (std::int32_t i = 0; i < kChain; ++i) {
      TESSERA_RETURN_IF_ERROR(
          driver.check(driver.launch_kernel(nothing, 8, 1, 1, 64, 1, 1, 0, on, nullptr, nullptr), "capture a kernel"));
    }
    TESSERA_RETURN_IF_ERROR(driver.check(driver.memset_d8_async(memory, 0, 4096, on), "capture a memset"));
    return driver.check(driver.memcpy_dtod_async(memory + 4096, memory, 4096, on), "capture a copy");
  }));
}

void homing(CudaDevice& device, ProbeKit& kit) {
  const Driver& driver = kit.gpu()->driver();
  const CUstream stream = device.loader_stream();
  const CurrentContext current(*kit.gpu());
  CUdeviceptr memory = 0;
  must(driver.check(driver.mem_alloc(&memory, 8192), "allocate"));
  const OwnedDeviceMemory owned(driver, memory);
  const OwnedGraph source = chain(kit, stream, memory);
  const Duration audited = timed([&] { static_cast<void>(must(audit(*kit.gpu(), source.get(), 8))); });
  Samples rehomed;
  Samples made;
  Samples bare;
  std::vector<HomedGraph> graphs;
  for (const Slice& slice : device.shape().ladder) {
    const CUcontext context = must(device.context_of(slice));
    rehomed.add(timed([&] { static_cast<void>(must(rehome(*kit.gpu(), source.get(), context))); }));
    made.add(timed([&] { graphs.push_back(must(HomedGraph::make(*kit.gpu(), source.get(), context, stream))); }));
  }
  for (int i = 0; i < 500; ++i) {
    for (HomedGraph& graph : graphs) {
      bare.add(timed([&] { must(graph.launch(stream)); }));
      must(driver.check(driver.stream_synchronize(stream), "run"));
      if (i > 0) {
        break;
      }
    }
  }
  print("homing_202_nodes_us", "{\"audit\":" + std::to_string(us(audited)) + ",\"clone_and_rehome\":" + rehomed.json() +
                                   ",\n  \"all_with_instantiate_and_upload\":" + made.json() +
                                   ",\n  \"bare_graph_launch_cpu\":" + bare.json() + "}");
}

// What an operation does while a kernel holds one slice for a while and another slice serves in a closed loop: how long
// it takes itself, and the worst that the neighbour saw.
void beside(const std::string& name, bool hold, CudaDevice& device, ProbeKit& kit,
            const std::function<void()>& operation) {
  constexpr milliseconds kHeld{60};
  constexpr milliseconds kLead{10};
  Loop loop(device);
  const MappedMemory memory(kit.gpu(), sizeof(ProbeGate));
  auto* gate = memory.as<ProbeGate>();
  const BenchPlan holder(kit, Duration{0}, gate);
  const BenchPlan worker(kit, microseconds(20));
  Batch held;
  held.bucket = 1;
  Batch batch;
  LaunchId holding;
  if (hold) {
    holding = loop.launch(holder, {0, 1}, held);
    while (std::atomic_ref(gate->reached).load() == 0) {
    }
  }
  loop.launch_cpu = Samples();
  std::atomic<bool> done{false};
  Duration took{0};
  const TimePoint begin = now();
  std::thread other([&] {
    const CurrentContext current(*kit.gpu());
    std::this_thread::sleep_for(kLead);
    took = timed(operation);
    done.store(true);
  });
  std::thread opener([&] {
    std::this_thread::sleep_for(kLead + kHeld);
    std::atomic_ref(gate->open).store(1);
  });
  Samples rounds;
  bool still_held = hold;
  while (now() - begin < 2 * kLead + kHeld || !done.load() || still_held) {
    const TimePoint from = now();
    const LaunchId id = loop.launch(worker, {1, 1}, batch);
    for (;;) {
      const Completion* completion = loop.next();
      if (completion->id == holding) {
        still_held = false;
      } else {
        TESSERA_CHECK(completion->id == id);
        break;
      }
    }
    rounds.add(now() - from);
  }
  other.join();
  opener.join();
  print((hold ? "beside_a_held_kernel_" : "beside_short_kernels_") + name,
        "{\"took_us\":" + std::to_string(us(took)) + ",\"waited_for_the_kernel\":" +
            (took > kHeld - kLead ? "true" : "false") + ",\"neighbour_launch_cpu_us\":" + loop.launch_cpu.json() +
            ",\"neighbour_round_us\":" + rounds.json() + "}");
}

// Entries that the device itself does not use.
template <typename Entry>
Entry entry(const char* name) {
  void* const library = dlopen("libcuda.so.1", RTLD_NOW);
  const auto found = reinterpret_cast<Entry>(dlsym(library, name));
  TESSERA_CHECK(found != nullptr);
  return found;
}

void interference(CudaDevice& device, ProbeKit& kit) {
  const auto gpu = kit.gpu();
  const Driver& driver = gpu->driver();
  const CUstream stream = device.loader_stream();
  const CUcontext context = must(device.context_of({2, 1}));
  std::uint16_t next = 0;
  CUdeviceptr memory = 0;
  std::unique_ptr<MappedMemory> pinned;
  auto region = must(DeviceRegion::reserve(gpu, {kRegion}, std::make_shared<MemoryBudget>(std::nullopt)));
  CUcontext second = nullptr;
  must(driver.check(entry<CUresult (*)(CUcontext*, unsigned, CUdevice)>("cuCtxCreate_v2")(&second, 0, gpu->ordinal()),
                    "make a second context"));
  CUcontext popped = nullptr;
  must(driver.check(driver.ctx_pop_current(&popped), "put it aside"));
  void* from_second = nullptr;
  for (const bool hold : {true, false}) {
    const auto with = [&](const char* name, const std::function<void()>& operation) {
      beside(name, hold, device, kit, operation);
    };
    with("nothing", [] {});
    with("making_a_slice", [&] { static_cast<void>(must(gpu->context_of({next++, 2}, Gpu::Use::kLoader))); });
    with("homing", [&] { static_cast<void>(must(HomedGraph::make(*gpu, kit.source(), context, stream))); });
    with("making_a_stream", [&] { static_cast<void>(must(gpu->make_streams(1))); });
    with("pinning_16_mb", [&] { pinned = std::make_unique<MappedMemory>(gpu, 16 << 20); });
    with("unpinning_16_mb", [&] { pinned.reset(); });
    with("allocating_16_mb", [&] { must(driver.check(driver.mem_alloc(&memory, 16 << 20), "allocate")); });
    with("freeing_16_mb", [&] { must(driver.check(driver.mem_free(memory), "free")); });
    with("growing_a_region_by_16_mb", [&] { must(region->grow({region->mapped().value + kGrowth})); });
    with("growing_a_region_by_16_mb_in_8_steps", [&] {
      for (int i = 0; i < 8; ++i) {
        must(region->grow({region->mapped().value + kGrowth / 8}));
      }
    });
    with("growing_a_region_by_1_gb", [&] { must(region->grow({region->mapped().value + (1ULL << 30)})); });
    with("giving_back_a_region",
         [&] { region = must(DeviceRegion::reserve(gpu, {kRegion}, std::make_shared<MemoryBudget>(std::nullopt))); });
    with("pinning_16_mb_from_a_second_context", [&] {
      must(driver.check(driver.ctx_set_current(second), "change context"));
      must(driver.check(driver.mem_host_alloc(&from_second, 16 << 20, CU_MEMHOSTALLOC_PORTABLE), "pin"));
      must(driver.check(driver.ctx_set_current(gpu->context()), "change context"));
    });
    with("unpinning_16_mb_from_a_second_context", [&] {
      must(driver.check(driver.ctx_set_current(second), "change context"));
      must(driver.check(driver.mem_free_host(from_second), "unpin"));
      must(driver.check(driver.ctx_set_current(gpu->context()), "change context"));
    });
    with("loading_kernels", [&] { const contract::ProbeKernels kernels(gpu); });
  }
}

// A kernel of a module belongs to the context that the module was loaded in: whether it can be re-homed.
void module_kernel(CudaDevice& device, ProbeKit& kit) {
  const Driver& driver = kit.gpu()->driver();
  const CurrentContext current(*kit.gpu());
  const auto load = entry<decltype(&cuModuleLoadData)>("cuModuleLoadData");
  const auto get = entry<decltype(&cuModuleGetFunction)>("cuModuleGetFunction");
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  must(driver.check(load(&module, contract::kProbePtx), "load a module"));
  must(driver.check(get(&function, module, "note_sms"), "find a function"));
  const MappedMemory found(kit.gpu(), sizeof(std::uint32_t) * contract::kSmWords);
  auto* sms = found.as<std::uint32_t>();
  std::uint64_t busy = 20'000;
  void* values[] = {&sms, &busy};
  const CUstream stream = device.loader_stream();
  const OwnedGraph source = must(capture(*kit.gpu(), stream, [&](CUstream on) {
    return driver.check(driver.launch_kernel(function, 1000, 1, 1, 64, 1, 1, 0, on, values, nullptr), "capture");
  }));
  CUgraphNode node = nullptr;
  std::size_t count = 1;
  must(driver.check(driver.graph_get_nodes(source.get(), &node, &count), "list nodes"));
  CUDA_KERNEL_NODE_PARAMS params{};
  must(driver.check(driver.graph_kernel_node_get_params(node, &params), "read a node"));
  std::string text = std::string(R"({"kern_is_set":)") + (params.kern != nullptr ? "true" : "false") +
                     R"(,"func_is_set":)" + (params.func != nullptr ? "true" : "false");
  const auto made = HomedGraph::make(*kit.gpu(), source.get(), must(device.context_of({2, 1})), stream);
  if (made.ok()) {
    must(made->launch(stream));
    must(driver.check(driver.stream_synchronize(stream), "run"));
    std::uint32_t copy[contract::kSmWords];
    std::memcpy(copy, sms, sizeof(copy));
    const auto atoms = kit.atoms_in(copy);
    text += std::string(R"(,"ran_on_atoms":)") + std::to_string(atoms.size()) + R"(,"in_its_slice":)" +
            (atoms == std::set<std::uint16_t>{2} ? "true" : "false") + "}";
  } else {
    text += R"(,"error":")" + made.error().message() + R"("})";
  }
  print("module_kernel", text);
}

int run(const char* name) {
  const auto specs = must(parse_cuda_devices(name));
  std::shared_ptr<Gpu> gpu;
  const Duration opened = timed([&] { gpu = must(Gpu::open(must(Driver::open()), specs.front().gpu)); });
  int version = 0;
  must(gpu->driver().check(gpu->driver().driver_get_version(&version), "read the version"));
  std::printf("{\"gpu\": \"%s\", \"cuda_of_driver\": %d, \"atoms\": %d", gpu->name().c_str(), version, gpu->atoms());
  Samples contexts;
  for (const Slice& slice : aligned_ladder(gpu->atoms())) {
    contexts.add(timed([&] { static_cast<void>(must(gpu->context_of(slice, Gpu::Use::kHome))); }));
  }
  CudaOptions options;
  options.spec = specs.front();
  std::unique_ptr<CudaDevice> device;
  const Duration started = timed([&] { device = must(make_cuda_device(gpu, options)); });
  print("open_gpu_us", std::to_string(us(opened)));
  print("green_context_us", contexts.json());
  print("start_device_with_contexts_there_us", std::to_string(us(started)));
  {
    ProbeKit kit(*device, kSlots);
    CardClock clock(kit, device->loader_stream());
    print("clock_round_trip_us", std::to_string(clock.round_trip_us()));
    homing(*device, kit);
    ways_to_see(*device, kit, clock);
    closed_loop("one_slice_idle_kernel", *device, BenchPlan(kit, Duration{0}), clock, 1, 3000);
    closed_loop("one_slice_50_us", *device, BenchPlan(kit, microseconds(50)), clock, 1, 2000);
    closed_loop("four_slices_500_us", *device, BenchPlan(kit, microseconds(500)), clock, 4, 500);
    closed_loop("all_atoms_500_us", *device, BenchPlan(kit, microseconds(500)), clock, device->shape().atoms(), 300);
    gaps_between("gaps_of_500_us_probes", *device, kit, microseconds(500));
    framed_ends(*device, kit, clock);
    inputs(*device, kit);
    module_kernel(*device, kit);
    interference(*device, kit);
    device.reset();
  }
  std::printf("\n}\n");
  return 0;
}

}  // namespace
}  // namespace tessera::device::bench

int main(int argc, char** argv) { return tessera::device::bench::run(argc > 1 ? argv[1] : "cuda:0"); }
