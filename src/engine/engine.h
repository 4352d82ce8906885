// Engines turn a model file into plans that a device can run in its slices.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/slice.h"
#include "core/tensor.h"
#include "device/device.h"

namespace tessera::engine {

// What a model file says of itself, before any configuration. Immutable.
struct FileSignature {
  std::vector<TensorSpec> inputs;  // full shapes as in the file; -1 where a dimension is free
  std::vector<TensorSpec> outputs;
  std::vector<std::string> external_data = {};  // other files that hold its weights, relative to its folder, each once
};

// How requests give an input that the file has as FP16: the device converts it on its way into the model.
struct InputForm {
  DType dtype = DType::kFp16;  // FP32, UINT8, or FP16
  bool channels_last = false;  // rows of [height, width, channels], where the file has [channels, height, width]
  bool operator==(const InputForm&) const = default;
};

struct LoadOptions {
  std::filesystem::path file;  // checked and confined by model/ already; read during load() alone
  std::string digest;          // of everything the file stands for; keys caches
  // What inspect() said of it. Nothing: load() looks itself.
  std::optional<FileSignature> signature = std::nullopt;
  std::int32_t max_batch_size = 0;  // 0: no batch dimension
  std::uint16_t lanes = 2;
  std::filesystem::path cache_dir;  // for optimised copies; empty: keep nothing
  // Options and algorithms of the engine may be chosen by timing them, so that two loads may give other bits. Else they
  // are the same each time.
  bool timed_choices = true;
  // What the model may take of a GPU's memory: weights and lanes; nothing: all there is. Loading fails beyond.
  std::optional<Bytes> memory_limit = std::nullopt;
  // Where given: the model is not captured, but launched anew for every batch, in this slice alone. For models whose
  // capture was refused, by engines that capture().
  std::optional<Slice> uncaptured_in = std::nullopt;
  // All shapes that the inputs' free dimensions will have: by shape, then by input, as the file has them, -1 in the
  // place of the batch. None: any. For engines that capture().
  std::vector<std::vector<Shape>> shapes = {};
  // By input. Those that are not here come as the file has them. For engines of GPUs; others are not given any.
  std::map<std::string, InputForm> input_forms = {};
};

// Figures that an engine can tell about a loaded model; shown in metrics and /config.
struct MemoryUse {
  Bytes weights;   // as the file has them, held once per device
  Bytes packed;    // what all sessions keep beside them for as long as they live, held once as well
  Bytes working;   // what else the model holds by now, such as its lanes' inputs, activations and outputs
  Bytes per_home;  // what one more slice adds, as measured at the last home made; 0 where unknown
  Bytes again{};   // of `packed`: what sessions hold once more, since they pack in another order than the first

  Bytes held() const { return {weights.value + packed.value + working.value}; }
};

// A model in memory, for one device. Making plans has two parts in engines that capture: a heavy one, which computes
// and takes up to seconds (capture), and a cheap one, which puts what was captured into a slice (home, about 1 ms).
// prepare_home does both; it and capture are called by the loader thread, with the loader slice borrowed; home and
// drop_home by one homing thread, which waits for no capture. The rest is thread-safe.
class LoadedModel {
 public:
  virtual ~LoadedModel() = default;
  virtual const FileSignature& signature() const = 0;
  virtual MemoryUse memory() const = 0;

  // The plan that runs `bucket` rows in `slice` with the memory of `lane`; made on first use, may take seconds.
  // Engines that need no plan of their own per bucket or lane return the same one. Lives as long as the model.
  // Error: kUnsupported where the model cannot run in that slice, though it may in others.
  virtual Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) = 0;

  // Whether prepare_home gives the same plan for every bucket and lane of a slice, so that one call homes them all.
  virtual bool one_plan_per_slice() const = 0;

  // The one slice that it runs in, one batch at a time in lane 0, where it cannot be put elsewhere.
  virtual std::optional<Slice> only_slice() const { return std::nullopt; }

  // Whether a plan has nothing left to set up in its first run. Then nobody runs it to warm it: its lane may be busy.
  virtual bool warm_when_homed() const { return false; }

  // Whether it has the cheap part: then homes are made one by one, where they are wanted, and can be let go of. Else
  // prepare_home is all there is.
  virtual bool homes_cheaply() const { return false; }

  // The longest part of a capture, which touches no lane: the loader thread's, as capture is, which does it if need be.
  // Called once the model serves, it may also look for faster ways to run the bucket, and take as long again.
  virtual Status build(std::int32_t bucket) {
    static_cast<void>(bucket);
    return ok_status();
  }

  // Whether build() has found a faster way to run the bucket than the one that was captured in the lane.
  virtual bool outdated(std::int32_t bucket, LaneIndex lane) const {
    static_cast<void>(bucket);
    static_cast<void>(lane);
    return false;
  }

  // The heavy part for `bucket` rows with the memory of `lane`, in which nothing may run meanwhile; done once, and once
  // more where it is outdated: then the same plan, wherever it is homed, runs the faster way.
  virtual Status capture(std::int32_t bucket, LaneIndex lane) {
    static_cast<void>(bucket);
    static_cast<void>(lane);
    return ok_status();
  }

  // The cheap part. The plan is the same for all slices of a (bucket, lane); it may be launched in `slice` from now on.
  // Errors: kUnsupported as above; kUnavailable where it has not been captured.
  virtual Result<const device::Plan*> home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
    return prepare_home(bucket, lane, slice);
  }

  // The plan is launched in `slice` no more, until it is homed there again; nothing of it runs there.
  virtual void drop_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
    static_cast<void>(bucket);
    static_cast<void>(lane);
    static_cast<void>(slice);
  }
};

// Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const std::string& name() const = 0;  // "onnxruntime"
  virtual std::string version() const = 0;      // part of profile keys
  // The options that plans are made with, where they make models faster or slower: part of profile keys as well.
  virtual std::string options() const { return {}; }

  // Reads the signature only: a file that cannot be loaded may have one. Error: kInvalidArgument with the parser's
  // words for a broken file.
  virtual Result<FileSignature> inspect(const std::filesystem::path& file) = 0;
  // Error: kUnsupported, from here or from preparing the first home, where the model cannot be captured.
  virtual Result<std::unique_ptr<LoadedModel>> load(const LoadOptions& options) = 0;

  // Whether it captures models, and can run those that cannot be: LoadOptions::uncaptured_in.
  virtual bool captures() const { return false; }

  // Tensor bytes that its plans copied from one user-space place to another since the start: inputs of batches beyond
  // one request, inputs that lay unaligned, and strings both ways.
  virtual Bytes copied_tensor_bytes() const { return {}; }
};

}  // namespace tessera::engine
