#include "tests/support/cuda/card_kit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/clock.h"

namespace tessera::device::contract {

Result<std::unique_ptr<CardKit>> CardKit::make(const Driver& driver) {
  TESSERA_ASSIGN_OR_RETURN(auto gpu, Gpu::open(driver, 0));
  std::unique_ptr<CardKit> kit(new CardKit(std::move(gpu)));  // NOLINT: the constructor is private
  TESSERA_RETURN_IF_ERROR(kit->start());
  return kit;
}

Status CardKit::start() {
  CudaOptions options;
  options.streams = 1;
  TESSERA_ASSIGN_OR_RETURN(device_, make_cuda_device(gpu_, options));
  kit_ = std::make_unique<ProbeKit>(*device_);
  TESSERA_ASSIGN_OR_RETURN(streams_, gpu_->make_streams(kStreams));
  TESSERA_RETURN_IF_ERROR(driver().check(driver().ctx_set_current(gpu_->context()), "set a context"));
  for (OwnedEvent* owned : {&event_, &passed_}) {
    CUevent event = nullptr;
    TESSERA_RETURN_IF_ERROR(driver().check(driver().event_create(&event, CU_EVENT_DISABLE_TIMING), "make an event"));
    *owned = OwnedEvent(driver(), event);
  }
  CUdeviceptr memory = 0;
  TESSERA_RETURN_IF_ERROR(driver().check(driver().mem_alloc(&memory, 2 * kBytes), "allocate"));
  memory_ = OwnedDeviceMemory(driver(), memory);
  TESSERA_RETURN_IF_ERROR(driver().check(driver().mem_alloc(&memory, kMostHolds * sizeof(ProbeHold)), "allocate"));
  shared_ = OwnedDeviceMemory(driver(), memory);
  TESSERA_RETURN_IF_ERROR(
      driver().check(driver().memset_d8_async(memory, 0, kMostHolds * sizeof(ProbeHold), stream(0)), "clear"));
  TESSERA_RETURN_IF_ERROR(driver().check(driver().stream_synchronize(stream(0)), "clear"));
  return ok_status();
}

CardKit::~CardKit() {
  for (const auto& gate : gates_) {
    std::atomic_ref(gate->as<ProbeGate>()->open).store(1);
  }
  for (const OwnedStream& stream : streams_) {
    static_cast<void>(driver().stream_synchronize(stream.get()));
  }
  kit_.reset();
  device_.reset();
}

OwnedGraph CardKit::captured(const std::function<CUresult(CUstream)>& work) {
  auto graph = capture(*gpu_, stream(kStreams - 1), [&](CUstream on) { return driver().check(work(on), "capture"); });
  EXPECT_TRUE(graph.ok());
  return *std::move(graph);
}

HomedGraph CardKit::homed(CUgraph source, CUcontext context) {
  auto made = HomedGraph::make(*gpu_, source, context, stream(kStreams - 1));
  EXPECT_TRUE(made.ok());
  return *std::move(made);
}

OwnedGraph CardKit::all_kinds_of_nodes() {
  return captured([&](CUstream on) {
    const CUresult set = driver().memset_d8_async(memory(), 1, kBytes, on);
    const CUresult copied = driver().memcpy_dtod_async(memory() + kBytes, memory(), kBytes, on);
    const CUresult launched = driver().launch_kernel(kit_->kernels().function("nothing"), 64, 1, 1, kFullBlock, 1, 1, 0,
                                                     on, nullptr, nullptr);
    return std::max({set, copied, launched});
  });
}

CUdeviceptr CardKit::next_shared() {
  EXPECT_LT(holds_, kMostHolds);
  return shared_.get() + holds_++ % kMostHolds * sizeof(ProbeHold);
}

Hold CardKit::make_hold(const Slice& slice) {
  auto* gate = gates_.emplace_back(std::make_unique<MappedMemory>(gpu_, sizeof(ProbeGate)))->as<ProbeGate>();
  const auto blocks = static_cast<unsigned>(shape().processors_in(slice)) * kFullBlocks;
  CUdeviceptr shared = next_shared();
  void* values[] = {&gate, &shared};
  const OwnedGraph source = captured([&](CUstream capturing) {
    return driver().launch_kernel(kit_->kernels().function("hold"), blocks, 1, 1, kFullBlock, 1, 1, 0, capturing,
                                  values, nullptr);
  });
  return {homed(source.get(), context(slice)), gate, blocks};
}

void CardKit::start(const Hold& hold, CUstream on) {
  std::atomic_ref(hold.gate->open).store(0);
  std::atomic_ref(hold.gate->reached).store(0);
  EXPECT_TRUE(hold.graph.launch(on).ok());
  for (const TimePoint end = now() + kLong; std::atomic_ref(hold.gate->reached).load() != hold.blocks && now() < end;) {
  }
  EXPECT_EQ(std::atomic_ref(hold.gate->reached).load(), hold.blocks) << "not all of it runs at once";
}

void CardKit::open(const Hold& hold) { std::atomic_ref(hold.gate->open).store(1); }

bool CardKit::ends(CUstream on, std::chrono::milliseconds within) {
  EXPECT_EQ(driver().event_record(event_.get(), on), CUDA_SUCCESS);
  CUresult result = CUDA_ERROR_NOT_READY;
  for (const TimePoint end = now() + within; result == CUDA_ERROR_NOT_READY && now() < end;) {
    result = driver().event_query(event_.get());
  }
  return result == CUDA_SUCCESS;
}

std::optional<Duration> CardKit::timed(const HomedGraph& graph, CUstream on) {
  const TimePoint begin = now();
  EXPECT_TRUE(graph.launch(on).ok());
  return ends(on, kLong) ? std::optional(now() - begin) : std::nullopt;
}

void CardKit::wait_for(CUstream stream, CUstream behind) {
  EXPECT_EQ(driver().event_record(passed_.get(), behind), CUDA_SUCCESS);
  EXPECT_EQ(driver().stream_wait_event(stream, passed_.get(), 0), CUDA_SUCCESS);
}

}  // namespace tessera::device::contract
