// What tests of isolation need of a card: homed graphs, kernels that fill a slice until they are let go, and streams
// enough for all of them at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tests/support/cuda/probe_kit.h"

namespace tessera::device::contract {

// What fills every processor of a slice until it is opened. Made before any is started: making one may wait for what
// runs.
struct Hold {
  HomedGraph graph;
  ProbeGate* gate;
  unsigned blocks;
};

// Owned by the one thread that uses it; the gpu's primary context is current on it.
class CardKit {
 public:
  static constexpr std::size_t kStreams =
      Gpu::kMaxStreams - other_streams(CudaOptions::kCopies) - 1;  // all but the device's own
  static constexpr std::chrono::milliseconds kLong{5000};
  static constexpr unsigned kFullBlock = 1024;  // threads; two such blocks are all that a processor holds at once
  static constexpr unsigned kFullBlocks = 2;    // a processor
  static constexpr std::size_t kBytes = 1 << 20;
  static constexpr std::size_t kMostHolds = 1024;

  // Error: what keeps the card from being opened.
  static Result<std::unique_ptr<CardKit>> make(const Driver& driver);
  // Opens all gates, and waits.
  ~CardKit();
  CardKit(const CardKit&) = delete;
  CardKit& operator=(const CardKit&) = delete;

  const Driver& driver() const { return gpu_->driver(); }
  const std::shared_ptr<Gpu>& gpu() const { return gpu_; }
  CudaDevice& device() { return *device_; }
  const DeviceShape& shape() const { return device_->shape(); }
  const ProbeKit& probes() const { return *kit_; }
  CUstream stream(std::size_t i) const { return streams_[i].get(); }
  CUdeviceptr memory() const { return memory_.get(); }  // twice kBytes
  CUdeviceptr next_shared();                            // what the blocks of the next hold share
  CUcontext context(const Slice& slice) { return *device_->context_of(slice); }

  OwnedGraph captured(const std::function<CUresult(CUstream)>& work);
  HomedGraph homed(CUgraph source, CUcontext context);
  OwnedGraph all_kinds_of_nodes();  // a memset, a copy, a kernel

  Hold make_hold(const Slice& slice);         // at most kMostHolds
  void start(const Hold& hold, CUstream on);  // returns when all of it runs
  static void open(const Hold& hold);

  // Whether what is queued on the stream has ended, or does so in time.
  bool ends(CUstream on, std::chrono::milliseconds within);
  // From launching until the end is seen; nothing if that takes longer than kLong.
  std::optional<Duration> timed(const HomedGraph& graph, CUstream on);
  // What is queued on `stream` from now on waits for what is queued on `behind`.
  void wait_for(CUstream stream, CUstream behind);

 private:
  explicit CardKit(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {}
  Status start();

  const std::shared_ptr<Gpu> gpu_;
  std::unique_ptr<CudaDevice> device_;
  std::unique_ptr<ProbeKit> kit_;
  std::vector<OwnedStream> streams_;
  OwnedEvent event_;   // of ends(), timed()
  OwnedEvent passed_;  // of wait_for()
  OwnedDeviceMemory memory_;
  OwnedDeviceMemory shared_;  // a ProbeHold for each hold
  std::size_t holds_ = 0;
  std::vector<std::unique_ptr<MappedMemory>> gates_;
};

}  // namespace tessera::device::contract
