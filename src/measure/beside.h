// What running models notice of others: of a model that is loaded or homed beside them, and of greedy neighbours.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "measure/loops.h"
#include "measure/models.h"

namespace tessera::measure {

struct BesideOptions {
  std::filesystem::path models;
  std::vector<std::string> neighbours{"resnet50", "mobilenet_v2", "vgg19"};
  std::int32_t rows = 4;  // of a neighbour's batch
  double seconds = 2;     // of each measurement
};

struct Beside {
  std::vector<std::string> names;
  std::vector<LoopTimes> alone;
  std::vector<LoopTimes> beside;
  double took_ms = 0;  // what was done beside them; the median where it was done often
  std::vector<std::pair<std::string, double>> steps_ms = {};  // likewise of its steps, where they are known
  double worst_p99_ratio() const;
  double most_worst_ms_more() const;  // how much later the latest launch of one ended than alone
};
std::string to_json(const Beside& result);

// The neighbours, loaded, each in a slice of its own, and one more slice, the last. Owned by the loader thread.
class Neighbourhood {
 public:
  // Error: that of loading, or kUnsupported where the device has too few slices.
  static Result<std::unique_ptr<Neighbourhood>> make(device::Device& device, engine::Engine& engine,
                                                     const BesideOptions& options);

  // Whether each neighbour has a batch committed behind the one that runs, as it has where a server's queues are full;
  // without one, whatever holds up a launch leaves its slice idle.
  enum class Behind { kNothing, kOneBatch };
  // While `work` is done, which tells nothing of how long it took.
  Result<Beside> beside(const std::function<Status()>& work) { return around(work, Behind::kNothing); }
  // Loading another copy of that model, up to its first plan. Of a model's loads in a process the first is the one that
  // is noticed most: its kernels are loaded to the card then.
  Result<Beside> loading(const std::string& model, Behind behind);
  // Making plans that are captured already ready in slice after slice, one every few milliseconds.
  Result<Beside> homing(Behind behind);
  // One more model, in the last slice, launched kernel by kernel as one that cannot be captured. The neighbours alone,
  // or beside the same model captured, which takes its part of the memory's bandwidth too.
  enum class Against { kAlone, kCaptured };
  Result<Beside> uncaptured(const std::string& model, Against against);
  // Batches of one neighbour, alone, then beside three lanes of a greedy one: each in a slice of its own, or all on the
  // whole device at once, as plain streams share it. Only the critical one's times are told.
  enum class Sharing { kSlices, kStreams };
  struct Mix {
    std::string critical;
    std::int32_t critical_rows = 1;
    std::string greedy;
    std::int32_t greedy_rows = 8;
  };
  Result<Beside> critical(Sharing sharing, const Mix& mix);

 private:
  Neighbourhood(device::Device& device, engine::Engine& engine, BesideOptions options, std::vector<Slice> slices)
      : device_(device), engine_(engine), options_(std::move(options)), slices_(std::move(slices)), runner_(device) {}

  Duration span() const;
  Result<Beside> around(const std::function<Status()>& work, Behind behind);
  Result<Model*> neighbour(const std::string& name) const;

  device::Device& device_;
  engine::Engine& engine_;
  const BesideOptions options_;
  const std::vector<Slice> slices_;
  Loops runner_;
  std::vector<std::unique_ptr<Model>> models_;
  std::vector<Loop> loops_;   // one a neighbour
  std::vector<Loop> behind_;  // likewise, of another lane
};

}  // namespace tessera::measure
