// One session of a model for one bucket, and running it on addresses that never change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "engine/engine.h"
#include "engine/onnxruntime/cuda/cuda_parts.h"
#include "engine/onnxruntime/cuda/model_on_card.h"
#include "engine/onnxruntime/cuda/provider.h"

namespace tessera::engine {

// An input or output at an address of the card. Immutable value.
struct BoundTensor {
  const TensorSpec* spec = nullptr;  // of the model's signature
  Shape shape;                       // with the bucket's rows
  Bytes row;                         // bytes of one row; all of it where the model does not batch
  CUdeviceptr at = 0;
  CUdeviceptr raw = 0;  // of an input that is converted: room for its bytes as requests give them

  std::size_t bytes(std::int32_t rows) const { return row.value * static_cast<std::size_t>(rows); }
};

struct Binding {
  std::vector<BoundTensor> inputs;
  std::vector<BoundTensor> outputs;
};

// The input shape of a session never changes after its first run: else what the provider keeps of a shape (plans,
// compiled kernels, small buffers) would be let go of under the graphs that were captured from it. Owned by the loader
// thread.
class BoundSession {
 public:
  // The file and the weights are the optimised model's.
  static Result<std::unique_ptr<BoundSession>> make(const SessionFacts& facts, const OptimizedFiles& files,
                                                    const DeviceWeights& weights, std::int32_t bucket,
                                                    const ProviderOptions& choice);

  const ProviderOptions& options() const { return options_; }
  std::int32_t bucket() const { return bucket_; }
  std::int32_t rows() const { return facts_.max_batch_size > 0 ? bucket_ : 1; }

  // Room for inputs and outputs in `memory`, given back by release(). The outputs' shapes come from a first run.
  Result<Binding> bind(HeapSource& memory);
  static void release(const Binding& binding, HeapSource& memory);

  // One run on the build stream, which has ended on return, with activations from `memory`. The first ones search for
  // algorithms and take long.
  Status run(const Binding& binding, HeapSource& memory);
  // What one run takes in the loader slice as a captured graph, without what the host does for a run of its own: the
  // least of several. The first runs are over.
  Result<Duration> time_captured(const Binding& binding, HeapSource& memory);
  // The same for a stream that is being captured: waits for nothing. What the run put into the host's memory for its
  // kernels stays there until the next run(), which has to come before the session goes.
  Status run_captured(const Binding& binding, HeapSource& memory);

 private:
  BoundSession(const SessionFacts& facts, std::int32_t bucket, const ProviderOptions& options)
      : facts_(facts), bucket_(bucket), options_(options) {}

  Status run_with(const Binding& binding, HeapSource& memory, bool captured);
  Status learn_outputs(HeapSource& memory, const std::vector<BoundTensor>& inputs);
  Result<std::vector<BoundTensor>> bind_all(const std::vector<TensorSpec>& specs, const std::vector<Shape>& shapes,
                                            HeapSource& memory) const;
  Ort::Value value(const BoundTensor& tensor) const;

  const SessionFacts& facts_;
  const std::int32_t bucket_;
  const ProviderOptions options_;
  Ort::Session session_{nullptr};
  std::vector<Shape> output_shapes_;  // known after the first run
};

}  // namespace tessera::engine
