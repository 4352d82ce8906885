#include "measure/grid.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/clock.h"
#include "device/device.h"
#include "model/model_source.h"
#include "model/synthetic.h"

namespace tessera::measure {
namespace {

// One slice of each size, since equal ones are equally fast: the smallest first.
std::vector<Slice> one_of_each_size(const DeviceShape& shape) {
  std::vector<Slice> out;
  std::set<int> seen;
  for (const Slice& slice : shape.ladder) {
    if (seen.insert(shape.processors_in(slice)).second) {
      out.push_back(slice);
    }
  }
  std::sort(out.begin(), out.end(),
            [&](const Slice& a, const Slice& b) { return shape.processors_in(a) < shape.processors_in(b); });
  return out;
}

// A model with its configuration, loaded without a service. Owned by the loader thread.
class GridModel {
 public:
  static Result<GridModel> load(device::Device& device, engine::Engine& engine, const std::string& device_kind,
                                const GridOptions& options) {
    GridModel subject(device);
    const model::LoadRequest request{options.model, std::nullopt, {}};
    TESSERA_ASSIGN_OR_RETURN(const auto folder, model::open_folder(request, options.repositories));
    TESSERA_ASSIGN_OR_RETURN(const auto source, model::open_source(request, folder));
    TESSERA_ASSIGN_OR_RETURN(const auto versions, model::select_versions(source.files.versions, source.folder));
    subject.version_ = options.version.value_or(versions.back());
    TESSERA_ASSIGN_OR_RETURN(auto files,
                             model::find_version(source.folder, subject.version_, source.files.default_model_file));
    TESSERA_ASSIGN_OR_RETURN(const auto signature, engine.inspect(files.model));
    TESSERA_RETURN_IF_ERROR(model::add_external(signature.external_data, files));
    model::ConfigDefaults defaults;
    defaults.device_kind = device_kind;
    defaults.engine = engine.name();
    TESSERA_ASSIGN_OR_RETURN(subject.config_,
                             model::complete_config(options.model, source.written, signature, defaults));
    engine::LoadOptions how;
    how.file = files.model;
    how.digest = "profile " + options.model;
    how.max_batch_size = subject.config_.signature.max_batch_size;
    how.lanes = 1;
    how.memory_limit = subject.config_.memory_limit;
    how.input_forms = subject.config_.input_forms;
    if (engine.captures()) {
      how.shapes = model::shapes_in_file(subject.config_, signature);
    }
    TESSERA_ASSIGN_OR_RETURN(subject.model_, engine.load(how));
    TESSERA_RETURN_IF_ERROR(subject.find_side());
    return subject;
  }

  const model::ModelConfig& config() const { return config_; }
  std::int64_t version() const { return version_; }
  Bytes memory() const {
    const engine::MemoryUse use = model_->memory();
    return {use.held().value + use.per_home.value};
  }

  Result<GridPoint> measure(const Slice& slice, std::int32_t rows, const GridOptions& options) {
    TESSERA_ASSIGN_OR_RETURN(const device::Plan* plan, model_->prepare_home(rows, {0}, slice));
    TESSERA_ASSIGN_OR_RETURN(auto made, model::synthetic_batch(model::largest_shape(config_), rows, rows, side_));
    made.move_to(device_.staging());
    std::vector<Duration> took;
    const TimePoint begin = now();
    for (int i = 0; i <= options.most_runs; ++i) {
      if (i > options.least_runs && now() - begin >= options.point_time) {
        break;
      }
      TESSERA_ASSIGN_OR_RETURN(const Duration one, device_.run_borrowed(*plan, slice, made.batch()));
      made.batch().outputs.clear();
      made.batch().output_memory.reset();
      if (i > 0) {  // the first one sets things up
        took.push_back(std::max(one, Duration{1}));
      }
    }
    return point_of(slice, rows, std::move(took));
  }

 private:
  explicit GridModel(device::Device& device) : device_(device) {}

  // Free dimensions take the first of these with which the model runs.
  Status find_side() {
    Status last;
    for (const std::int64_t side : model::kTriedSides) {
      side_ = side;
      GridOptions once;
      once.least_runs = once.most_runs = 1;
      const auto ran = measure(device_.shape().whole(), config_.params.buckets.front(), once);
      if (ran.ok()) {
        return ok_status();
      }
      last = ran.error();
      if (!model::has_free_dimensions(model::largest_shape(config_))) {
        break;
      }
    }
    return last.error().in("model '" + config_.name + "' does not run on made-up input");
  }

  GridPoint point_of(const Slice& slice, std::int32_t rows, std::vector<Duration> took) const {
    std::sort(took.begin(), took.end());
    GridPoint point;
    point.rows = rows;
    point.slice = slice;
    point.processors = device_.shape().processors_in(slice);
    point.runs = static_cast<int>(took.size());
    point.fastest = took.front();
    point.median = took[took.size() / 2];
    point.slowest = took.back();
    double squares = 0;
    for (const Duration one : took) {
      const double off = std::log(static_cast<double>(one.count()) / static_cast<double>(point.median.count()));
      squares += off * off;
    }
    point.spread = std::sqrt(squares / static_cast<double>(took.size()));
    return point;
  }

  device::Device& device_;
  model::ModelConfig config_;
  std::unique_ptr<engine::LoadedModel> model_;
  std::int64_t version_ = 0;
  std::int64_t side_ = 0;
};

}  // namespace

std::vector<sched::ProfilePoint> Grid::profile() const {
  std::vector<sched::ProfilePoint> out;
  for (const GridPoint& point : points) {
    out.push_back({point.rows, point.processors, point.median});
  }
  return out;
}

Result<Grid> measure_grid(device::Device& device, engine::Engine& engine, const std::string& device_kind,
                          const GridOptions& options, const std::function<void(double done)>& tell) {
  TESSERA_RETURN_IF_ERROR(device.become_loader_thread());
  TESSERA_ASSIGN_OR_RETURN(GridModel subject, GridModel::load(device, engine, device_kind, options));
  Grid grid;
  grid.model = options.model;
  grid.version = subject.version();
  grid.slo = options.slo ? options.slo : subject.config().params.slo;
  const std::vector<Slice> slices = one_of_each_size(device.shape());
  const std::vector<std::int32_t>& buckets = subject.config().params.buckets;
  double done = 0;
  for (const std::int32_t rows : buckets) {
    for (const Slice& slice : slices) {
      auto point = subject.measure(slice, rows, options);
      if (point.ok()) {
        grid.points.push_back(*point);
      } else if (point.error().code() == ErrorCode::kUnsupported || point.error().code() == ErrorCode::kTooLarge) {
        grid.left_out.push_back(std::to_string(rows) + " rows on " +
                                std::to_string(device.shape().processors_in(slice)) +
                                " processors: " + point.error().message());
      } else {
        return point.error();
      }
      done += 1.0 / static_cast<double>(buckets.size() * slices.size());
      if (tell) {
        tell(done);
      }
    }
  }
  grid.memory = subject.memory();
  return grid;
}

}  // namespace tessera::measure
