#include "apps/load_slices.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sched/journal.h"

namespace tessera::apps {
namespace {

class Reading {
 public:
  void take(const sched::JournalDevice& device) {
    first_atom_[device.number] = out_.atoms;
    out_.atoms += device.shape.atoms();
  }
  Status take(const sched::JournalStep& step) {
    if (const auto* up = std::get_if<sched::ModelUp>(&step.event)) {
      models_[{step.device, up->instance}] = place_of(up->params->name);
    } else if (const auto* ended = std::get_if<sched::LaunchEnded>(&step.event)) {
      end(step.device, *ended);
    }
    TESSERA_ASSIGN_OR_RETURN(const sched::Actions actions, sched::decode_actions(step.actions));
    for (const sched::Action& action : actions) {
      if (const auto* launch = std::get_if<sched::StartLaunch>(&action)) {
        begun_[{step.device, launch->launch}] = {{},
                                                 {},
                                                 models_[{step.device, launch->instance}],
                                                 first_atom_[step.device] + launch->slice.first,
                                                 launch->slice.count,
                                                 launch->rows};
      }
    }
    return ok_status();
  }
  loadgen::SliceRuns result() { return std::move(out_); }

 private:
  std::size_t place_of(const std::string& model) {
    const auto [found, added] = places_.emplace(model, out_.models.size());
    if (added) {
      out_.models.push_back(model);
    }
    return found->second;
  }

  void end(std::uint16_t device, const sched::LaunchEnded& ended) {
    const auto found = begun_.find({device, ended.launch});
    if (found == begun_.end()) {
      return;
    }
    if (ended.ran && ended.ended > ended.started && !out_.models.empty()) {
      found->second.begin = ended.started;
      found->second.end = ended.ended;
      out_.runs.push_back(found->second);
    }
    begun_.erase(found);
  }

  loadgen::SliceRuns out_;
  std::map<std::uint16_t, int> first_atom_;  // by device
  std::map<std::string, std::size_t> places_;
  std::map<std::pair<std::uint16_t, InstanceId>, std::size_t> models_;
  std::map<std::pair<std::uint16_t, LaunchId>, loadgen::SliceRun> begun_;
};

}  // namespace

Result<loadgen::SliceRuns> slice_runs(std::string_view journal) {
  TESSERA_ASSIGN_OR_RETURN(auto reader, sched::JournalReader::open(journal));
  Reading reading;
  for (;;) {
    TESSERA_ASSIGN_OR_RETURN(const auto record, reader.next());
    if (!record) {
      return reading.result();
    }
    if (const auto* step = std::get_if<sched::JournalStep>(&*record)) {
      TESSERA_RETURN_IF_ERROR(reading.take(*step));
    } else if (const auto* device = std::get_if<sched::JournalDevice>(&*record)) {
      reading.take(*device);
    }
  }
}

Result<loadgen::SliceRuns> read_slice_runs(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes(kSampledJournal.value, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  auto runs = slice_runs(bytes);
  return runs.ok() ? std::move(runs) : Result<loadgen::SliceRuns>(runs.error().in(file.string()));
}

}  // namespace tessera::apps
