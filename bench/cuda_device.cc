// What a GPU device costs: making slices and homed graphs, launching, seeing ends; and which operations wait for
// kernels that run, or make launches wait. Prints one JSON object.
//
// usage: bench_cuda_device [cuda:N]
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/pause.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/graph_audit.h"
#include "tests/support/cuda/probe_kit.h"
#include "tests/support/cuda/probe_ptx.h"

namespace tessera::device {
namespace {

using contract::MappedMemory;
using contract::ProbeArgs;
using contract::ProbeClock;
using contract::ProbeGate;
using contract::ProbeKit;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kSlots = 65536;
constexpr std::int32_t kChain = 200;

double us(Duration span) { return static_cast<double>(span.count()) / 1000; }

// Samples in microseconds.
class Samples {
 public:
  void add(Duration span) { values_.push_back(us(span)); }
  void add(double value) { values_.push_back(value); }
  double at(double quantile) {
    TESSERA_CHECK(!values_.empty());
    std::sort(values_.begin(), values_.end());
    return values_[std::min(values_.size() - 1,
                            static_cast<std::size_t>(quantile * static_cast<double>(values_.size())))];
  }
  std::string json() {
    std::array<char, 160> text{};
    std::snprintf(text.data(), text.size(), R"({"n":%zu,"p50":%.2f,"p90":%.2f,"p99":%.2f,"max":%.2f})", values_.size(),
                  at(0.5), at(0.9), at(0.99), at(1));
    return text.data();
  }

 private:
  std::vector<double> values_;
};

void print(const std::string& name, const std::string& json) {
  std::printf(",\n \"%s\": %s", name.c_str(), json.c_str());
  std::fflush(stdout);
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}

void must(const Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.error().message().c_str());
    std::exit(1);
  }
}

template <typename Work>
Duration timed(const Work& work) {
  const TimePoint begin = now();
  work();
  return now() - begin;
}

// The card's clock on the host's axis. The two drift apart by microseconds a second, so what was measured between two
// readings is placed by both of them.
class CardClock {
 public:
  CardClock(ProbeKit& kit, CUstream stream) : kit_(kit), stream_(stream) { read(); }

  void read() {
    constexpr std::uint32_t kCalls = 1000;
    const Driver& driver = kit_.gpu()->driver();
    const MappedMemory memory(kit_.gpu(), sizeof(ProbeClock));
    auto* clock = memory.as<ProbeClock>();
    std::uint32_t calls = kCalls;
    void* values[] = {&clock, &calls};
    must(driver.check(
        driver.launch_kernel(kit_.kernels().function("tell_time"), 1, 1, 1, 1, 1, 1, 0, stream_, values, nullptr),
        "launch"));
    Reading reading;
    for (std::uint32_t call = 1; call <= kCalls; ++call) {
      const TimePoint asked = now();
      std::atomic_ref(clock->call).store(call);
      while (std::atomic_ref(clock->answer).load() != call) {
      }
      const TimePoint answered = now();
      if (answered - asked < reading.round_trip) {
        reading.round_trip = answered - asked;
        reading.card_ns = static_cast<double>(clock->ns);
        reading.offset_ns =
            static_cast<double>((asked + reading.round_trip / 2).time_since_epoch().count()) - reading.card_ns;
      }
    }
    must(driver.check(driver.stream_synchronize(stream_), "run"));
    before_ = after_;
    after_ = reading;
  }

  // Of a time between the last two readings.
  double host_ns(std::uint64_t card_ns) const {
    const auto at = static_cast<double>(card_ns);
    const double slope = (after_.offset_ns - before_.offset_ns) / (after_.card_ns - before_.card_ns);
    return at + before_.offset_ns + slope * (at - before_.card_ns);
  }
  double round_trip_us() const { return us(after_.round_trip); }
  double drift_us_per_s() const {
    return (after_.offset_ns - before_.offset_ns) / (after_.card_ns - before_.card_ns) * 1e6;
  }

 private:
  struct Reading {
    Duration round_trip = kForever;
    double card_ns = 0;
    double offset_ns = 0;
  };
  ProbeKit& kit_;
  const CUstream stream_;
  Reading before_;
  Reading after_;
};

// One probe run after another; remembers where the last one of each batch noted its end.
class BenchPlan final : public CudaPlan {
 public:
  BenchPlan(ProbeKit& kit, Duration busy, ProbeGate* gate = nullptr) : kit_(kit), busy_(busy), gate_(gate) {}

  Status enqueue(const Slice& slice, const LaunchQueue& queue, Batch& batch) const override {
    const auto slot = kit_.take_slot();
    TESSERA_CHECK(slot.has_value());
    // The batch's bucket carries the place where the note is to be found.
    notes_[static_cast<std::size_t>(batch.bucket)] = slot->note;
    ProbeArgs args{};
    args.blocks = slot->blocks;
    args.note = slot->note;
    args.gate = gate_;
    args.input = slot->input;
    args.output = slot->output;
    args.busy_ns = static_cast<std::uint64_t>(busy_.count());
    return kit_.enqueue(slice, queue.run, args);
  }
  Status finish(const Slice&, Batch&) const override { return ok_status(); }
  std::uint64_t ended_ns(const Batch& batch) const { return notes_[static_cast<std::size_t>(batch.bucket)]->ended_ns; }

 private:
  ProbeKit& kit_;
  const Duration busy_;
  ProbeGate* const gate_;
  mutable std::array<contract::ProbeNote*, 64> notes_{};
};

// A dispatcher that keeps each of some slices busy with one launch at a time. Owned by the main thread, which spins.
class Loop final : public CompletionSink {
 public:
  explicit Loop(CudaDevice& device) : device_(device) { device.set_sink(*this); }

  void completed(const Completion& completion) override {
    const std::size_t at = written_.load(std::memory_order_relaxed);
    ring_[at % ring_.size()] = completion;
    written_.store(at + 1, std::memory_order_release);
  }
  void device_down(const Error& reason) override {
    std::fprintf(stderr, "%s\n", reason.message().c_str());
    std::exit(1);
  }

  // Spins until something has ended, or `until`.
  const Completion* next(TimePoint until = kNever) {
    while (written_.load(std::memory_order_acquire) == read_) {
      if (until != kNever && now() > until) {
        return nullptr;
      }
      pause_briefly();
    }
    const Completion& completion = ring_[read_++ % ring_.size()];
    device_.retire(completion.id);
    return &completion;
  }

  LaunchId launch(const Plan& plan, const Slice& slice, Batch& batch) {
    const LaunchId id{++last_id_};
    const TimePoint begin = now();
    static_cast<void>(must(device_.launch({.id = id, .slice = slice, .plan = &plan, .batch = &batch})));
    launch_cpu.add(now() - begin);
    return id;
  }

  Samples launch_cpu;

 private:
  CudaDevice& device_;
  std::array<Completion, 256> ring_;
  std::atomic<std::size_t> written_{0};
  std::size_t read_ = 0;
  std::uint64_t last_id_ = 0;
};

// `slices` atoms each with one launch in flight, launched again when it ends.
void closed_loop(const char* name, CudaDevice& device, ProbeKit& kit, CardClock& clock, std::uint16_t slices,
                 Duration busy, int rounds) {
  struct Sample {
    std::uint64_t card_ns;
    TimePoint seen;
    TimePoint noticed;
  };
  Loop loop(device);
  const BenchPlan plan(kit, busy);
  std::vector<Batch> batches(slices);
  std::map<LaunchId, std::uint16_t> who;
  std::vector<Sample> samples;
  Samples whole;
  std::vector<TimePoint> begun(slices);
  const auto start = [&](std::uint16_t i) {
    batches[i].bucket = i;
    begun[i] = now();
    who[loop.launch(plan, {i, 1}, batches[i])] = i;
  };
  clock.read();
  for (std::uint16_t i = 0; i < slices; ++i) {
    start(i);
  }
  for (int left = rounds * slices; left > 0; --left) {
    const Completion completion = *loop.next();
    const TimePoint here = now();
    const std::uint16_t i = who.at(completion.id);
    who.erase(completion.id);
    samples.push_back({plan.ended_ns(batches[i]), completion.ended, here});
    whole.add(here - begun[i]);
    if (left > slices) {
      start(i);
    }
  }
  clock.read();
  Samples seen;
  Samples noticed;
  for (const Sample& sample : samples) {
    const double ended = clock.host_ns(sample.card_ns);
    seen.add((static_cast<double>(sample.seen.time_since_epoch().count()) - ended) / 1000);
    noticed.add((static_cast<double>(sample.noticed.time_since_epoch().count()) - ended) / 1000);
  }
  print(name, "{\"launch_cpu_us\":" + loop.launch_cpu.json() + ",\n  \"gpu_end_to_seen_us\":" + seen.json() +
                  ",\n  \"gpu_end_to_dispatcher_us\":" + noticed.json() + ",\n  \"round_us\":" + whole.json() +
                  ",\"clock_drift_us_per_s\":" + std::to_string(clock.drift_us_per_s()) + "}");
}

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

// Memory as lanes take it: addresses reserved once, memory mapped in as they grow.
class Mapping {
 public:
  explicit Mapping(const Gpu& gpu) : driver_(gpu.driver()) {
    location_.type = CU_MEM_LOCATION_TYPE_DEVICE;
    location_.id = gpu.ordinal();
    must(driver_.check(entry<decltype(&cuMemAddressReserve)>("cuMemAddressReserve")(&address_, kSize, 0, 0, 0),
                       "reserve addresses"));
  }
  void map() {
    CUmemAllocationProp properties{};
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location = location_;
    CUmemAccessDesc access{location_, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    must(driver_.check(entry<decltype(&cuMemCreate)>("cuMemCreate")(&memory_, kSize, &properties, 0), "create"));
    must(driver_.check(entry<decltype(&cuMemMap)>("cuMemMap")(address_, kSize, 0, memory_, 0), "map"));
    must(driver_.check(entry<decltype(&cuMemSetAccess)>("cuMemSetAccess")(address_, kSize, &access, 1), "allow"));
  }
  void unmap() {
    must(driver_.check(entry<decltype(&cuMemUnmap)>("cuMemUnmap")(address_, kSize), "unmap"));
    must(driver_.check(entry<decltype(&cuMemRelease)>("cuMemRelease")(memory_), "release"));
  }

 private:
  static constexpr std::size_t kSize = 16 << 20;
  const Driver& driver_;
  CUmemLocation location_{};
  CUdeviceptr address_ = 0;
  CUmemGenericAllocationHandle memory_ = 0;
};

void interference(CudaDevice& device, ProbeKit& kit) {
  const auto gpu = kit.gpu();
  const Driver& driver = gpu->driver();
  const CUstream stream = device.loader_stream();
  const CUcontext context = must(device.context_of({2, 1}));
  std::uint16_t next = 0;
  CUdeviceptr memory = 0;
  std::unique_ptr<MappedMemory> pinned;
  Mapping mapping(*gpu);
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
    with("mapping_16_mb", [&] { mapping.map(); });
    with("unmapping_16_mb", [&] { mapping.unmap(); });
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
    closed_loop("one_slice_idle_kernel", *device, kit, clock, 1, Duration{0}, 3000);
    closed_loop("one_slice_50_us", *device, kit, clock, 1, microseconds(50), 2000);
    closed_loop("four_slices_500_us", *device, kit, clock, 4, microseconds(500), 500);
    closed_loop("all_atoms_500_us", *device, kit, clock, device->shape().atoms(), microseconds(500), 300);
    module_kernel(*device, kit);
    interference(*device, kit);
    device.reset();
  }
  std::printf("\n}\n");
  return 0;
}

}  // namespace
}  // namespace tessera::device

int main(int argc, char** argv) { return tessera::device::run(argc > 1 ? argv[1] : "cuda:0"); }
