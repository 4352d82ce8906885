#include "apps/selftest.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "apps/findings.h"
#include "apps/selftest_model.h"
#include "base/log.h"
#include "model/temp_folder.h"

namespace tessera::apps {
namespace {

constexpr Bytes kMaxTestBody{std::uint64_t{1} << 20};
constexpr std::int32_t kMaxBatch = 8;
constexpr std::uint16_t kLanes = 2;
constexpr int kRuns = 20;
constexpr float kTolerance = 0.01F;  // processors may round a product's factors to ten bits

std::string atoms_text(const Slice& slice) {
  return "atoms " + std::to_string(slice.first) + (slice.count > 1 ? "-" + std::to_string(slice.end() - 1) : "");
}

// Rows that differ, in memory that the device reads from. Owned by one thread.
class Input {
 public:
  static Result<Input> make(device::StagingPool& pool, std::int32_t rows) {
    Input input;
    const std::size_t count = static_cast<std::size_t>(rows) * SelftestModel::kRowIn;
    TESSERA_ASSIGN_OR_RETURN(input.block_, pool.lease(Bytes{count * sizeof(float)}));
    input.numbers_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      input.numbers_[i] = static_cast<float>(static_cast<int>(i * 53 % 257) - 128) / 128;
    }
    std::memcpy(input.block_->bytes().data(), input.numbers_.data(), count * sizeof(float));
    return input;
  }

  std::span<const std::byte> bytes() const { return block_->bytes().first(numbers_.size() * sizeof(float)); }
  std::span<const float> row(std::int32_t index) const {
    return std::span(numbers_).subspan(static_cast<std::size_t>(index) * SelftestModel::kRowIn, SelftestModel::kRowIn);
  }

 private:
  std::unique_ptr<device::StagingBlock> block_;
  std::vector<float> numbers_;
};

// The test model on one device, run as a loader would. Owned by the thread that makes it, which it confines.
class Subject {
 public:
  static Result<std::unique_ptr<Subject>> make(Computing& computing) {
    auto subject = std::make_unique<Subject>(computing);
    TESSERA_ASSIGN_OR_RETURN(subject->folder_, model::TempFolder::create());
    const auto file = subject->folder_->path() / "model.onnx";
    std::ofstream(file, std::ios::binary) << SelftestModel::file();
    TESSERA_RETURN_IF_ERROR(computing.device->become_loader_thread());
    engine::LoadOptions options;
    options.file = file;
    options.digest = "selftest";
    options.max_batch_size = kMaxBatch;
    options.lanes = kLanes;
    TESSERA_ASSIGN_OR_RETURN(subject->model_, computing.engine->load(options));
    return subject;
  }
  explicit Subject(Computing& computing) : device_(*computing.device) {}

  struct Outcome {
    std::vector<float> numbers;
    Duration median{0};
  };
  Result<Outcome> run(const Slice& slice, std::int32_t rows, LaneIndex lane) {
    TESSERA_ASSIGN_OR_RETURN(const Input input, Input::make(device_.staging(), rows));
    TESSERA_ASSIGN_OR_RETURN(const device::Plan* plan, model_->prepare_home(rows, lane, slice));
    Batch batch;
    batch.rows = batch.bucket = rows;
    batch.inputs = {
        {DType::kFp32, {SelftestModel::kChannels, SelftestModel::kSide, SelftestModel::kSide}, {input.bytes()}}};
    std::vector<Duration> took;
    Outcome outcome;
    for (int i = 0; i < kRuns; ++i) {
      TESSERA_ASSIGN_OR_RETURN(const Duration one, device_.run_borrowed(*plan, slice, batch));
      took.push_back(one);
      if (batch.outputs.size() != 1) return internal_error("the model gave no output");
      const auto bytes = batch.outputs[0].data;
      outcome.numbers.resize(bytes.size() / sizeof(float));
      std::memcpy(outcome.numbers.data(), bytes.data(), outcome.numbers.size() * sizeof(float));
      batch.outputs.clear();
      batch.output_memory.reset();
    }
    std::nth_element(took.begin(), took.begin() + kRuns / 2, took.end());
    outcome.median = took[kRuns / 2];
    for (std::int32_t row = 0; row < rows; ++row) check_row(input, row, outcome.numbers);
    return outcome;
  }
  float worst() const { return worst_; }  // difference from what was expected

 private:
  void check_row(const Input& input, std::int32_t row, const std::vector<float>& numbers) {
    const std::vector<float> expected = SelftestModel::expected(input.row(row));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(row) * expected.size() + i;
      const float off = at < numbers.size() ? std::abs(numbers[at] - expected[i]) : INFINITY;
      worst_ = std::isfinite(off) ? std::max(worst_, off) : INFINITY;
    }
  }

  device::Device& device_;
  std::shared_ptr<const model::TempFolder> folder_;
  std::unique_ptr<engine::LoadedModel> model_;
  float worst_ = 0;
};

template <typename T>
std::vector<T> ends_of(std::vector<T> all, bool full) {
  return full || all.size() <= 2 ? all : std::vector<T>{all.front(), all.back()};
}

// Every slice is to give the bits of the whole device, whose answers are to be right.
Status compare_slices(Subject& subject, const DeviceShape& shape, bool full, Findings& findings) {
  const std::uint16_t lanes = full ? kLanes : 1;
  for (const std::int32_t rows : ends_of<std::int32_t>({1, 2, 4, kMaxBatch}, full)) {
    TESSERA_ASSIGN_OR_RETURN(const Subject::Outcome whole, subject.run(shape.whole(), rows, {0}));
    for (const Slice& slice : ends_of(shape.ladder, full)) {
      for (std::uint16_t lane = 0; lane < lanes; ++lane) {
        TESSERA_ASSIGN_OR_RETURN(const Subject::Outcome outcome, subject.run(slice, rows, {lane}));
        const bool same =
            outcome.numbers.size() == whole.numbers.size() &&
            std::memcmp(outcome.numbers.data(), whole.numbers.data(), whole.numbers.size() * sizeof(float)) == 0;
        findings.check("batch " + std::to_string(rows) + ", " + atoms_text(slice) + ", lane " + std::to_string(lane),
                       same,
                       (same ? "bits as on the whole device, " : "other bits than on the whole device, ") +
                           std::to_string(outcome.median.count() / 1000) + " us");
      }
    }
  }
  findings.check("answers", subject.worst() <= kTolerance,
                 "at most " + std::to_string(subject.worst()) + " off what they should be");
  return ok_status();
}

Status examine(const SelftestOptions& options, Findings& findings, measure::Scores& scores, bool& measured,
               const std::function<void()>& write) {
  TESSERA_ASSIGN_OR_RETURN(const auto topology, device::HostTopology::of());
  TESSERA_ASSIGN_OR_RETURN(std::vector<Computing> devices, open_devices(options.device, topology, kMaxTestBody));
  Computing& computing = devices.front();
  const DeviceShape& shape = computing.device->shape();
  findings.fact("device", computing.description.empty() ? shape.name : computing.description);
  findings.fact("atoms", std::to_string(shape.atoms()) + ", slices " + std::to_string(shape.ladder.size()) +
                             ", loader " + atoms_text(shape.loader));
  findings.fact("engine", computing.engine->name() + " " + computing.engine->version());
  {
    TESSERA_ASSIGN_OR_RETURN(const auto subject, Subject::make(computing));
    TESSERA_RETURN_IF_ERROR(compare_slices(*subject, shape, options.full, findings));
  }
  measured = computing.kind == "cuda" || !options.rows.models.empty();
  if (measured) {
    RowOptions rows = options.rows;
    rows.full = options.full;
    write();
    measure_rows(devices, rows, scores, write);
  }
  return ok_status();
}

}  // namespace

void add_selftest_flags(CLI::App& command, SelftestOptions& options) {
  const auto take_device = [&options](const std::string& text) {
    auto choice = parse_device(text);
    if (!choice.ok()) throw CLI::ValidationError("--device", choice.error().message());
    options.device = std::move(*choice);
  };
  command.add_option_function<std::string>("--device", take_device, "host | auto | cuda:N; two for --rows pair (auto)")
      ->type_name("KIND");
  auto* quick = command.add_flag_callback(
      "--quick", [&options] { options.full = false; }, "the ends alone (so by default)");
  command.add_flag("--full", options.full, "every slice, lane and batch size")->excludes(quick);
  command.add_option("--models", options.rows.models, "a model repository (bench/models.py): measures the rows, too")
      ->type_name("FOLDER")
      ->check(CLI::ExistingDirectory);
  command
      .add_option("--rows", options.rows.parts,
                  "what to measure on the models: homed, homing, loading, critical, first, fallback, sharing, realloc, "
                  "pair (all)")
      ->type_name("LIST")
      ->delimiter(',')
      ->check(CLI::IsMember(RowOptions::known()));
  command.add_option("--json", options.json, "a file for the findings")->type_name("FILE");
}

int selftest(const SelftestOptions& options) {
  set_up_log(LogFormat::kText, LogLevel::kInfo);
  Findings findings;
  measure::Scores scores;
  bool measured = false;
  const auto write = [&] {
    if (!options.json.empty()) std::ofstream(options.json) << findings.json(measured ? scores.json() : "");
  };
  const Status done = examine(options, findings, scores, measured, write);
  if (!done.ok()) {
    std::fprintf(stderr, "tessera selftest: %s\n", done.error().message().c_str());
    findings.check("completed", false, done.error().message());
  }
  std::fputs(findings.table().c_str(), stdout);
  if (measured) std::printf("\n%s", scores.table().c_str());
  write();
  return findings.all_hold() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace tessera::apps
