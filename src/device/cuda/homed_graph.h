// Capture once, re-home anywhere: a captured graph, and copies of it each of whose nodes runs in a slice's context.
#pragma once

#include <functional>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "device/cuda/gpu.h"
#include "device/cuda/owned.h"

namespace tessera::device {

// Records what `work` queues on the stream, which runs nothing meanwhile. Errors: those of `work` and of the driver.
Result<OwnedGraph> capture(const Gpu& gpu, CUstream stream, const std::function<Status(CUstream)>& work);

// A clone of `source` whose kernels, memsets and copies carry `context`, with all dependencies as they were. The clone
// shares all memory with the source. Calls with one source are serialised by the caller; about 0.3 ms.
Result<OwnedGraph> rehome(const Gpu& gpu, CUgraph source, CUcontext context);

// A graph in one slice, ready to be launched: on whatever stream it is, its nodes run on the slice's processors.
// Made by the homing thread; afterwards owned by the thread that launches it. Must not outlive the gpu.
class HomedGraph {
 public:
  // Re-homes, instantiates and uploads: about 1 ms, 0.7 MB on the card, and 3 to 5 MB of the host's with the graph that
  // names its nodes. `stream` carries the upload, which has ended on return.
  // Error: kUnsupported where the slice cannot hold a cluster of blocks that one of the kernels wants: what a split of
  // the card leaves over is processors of several clusters.
  static Result<HomedGraph> make(const Gpu& gpu, CUgraph source, CUcontext context, CUstream stream);

  CUgraphExec exec() const { return exec_.get(); }

  // What making it took, step by step.
  struct Steps {
    Duration rehome{0};  // with the clone
    Duration instantiate{0};
    Duration upload{0};
  };
  const Steps& took() const { return took_; }

  // Frees the graph that names the nodes: kernel_of() and set_arguments() are not to be called any more.
  void forget_nodes() { graph_.reset(); }

  // What a kernel node of the source has become.
  struct Kernel {
    CUgraphNode node = nullptr;
    CUDA_KERNEL_NODE_PARAMS params{};
  };
  Result<Kernel> kernel_of(CUgraphNode in_source) const;

  // The values that the kernel gets in every launch from now on, as for a kernel launch; launches queued before keep
  // theirs. Costs about a microsecond.
  Status set_arguments(const Kernel& kernel, void** values) const;

  Status launch(CUstream stream) const;

 private:
  HomedGraph(const Gpu& gpu, CUcontext context, OwnedGraph graph)
      : driver_(&gpu.driver()), context_(context), graph_(std::move(graph)) {}

  const Driver* driver_;
  CUcontext context_;
  OwnedGraph graph_;  // names the nodes of exec_; none after forget_nodes()
  OwnedGraphExec exec_;
  Steps took_;
};

}  // namespace tessera::device
