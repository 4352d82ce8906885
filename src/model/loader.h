// Loads one version of a model: from files to an instance that can be published.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "model/config.h"
#include "model/host.h"
#include "model/inspections.h"
#include "model/instance.h"
#include "model/measure.h"
#include "model/profile_cache.h"
#include "model/repository.h"
#include "model/temp_folder.h"

namespace tessera::model {

// Where a load takes a model from. Immutable value.
struct ModelSource {
  ModelFolder folder;
  WrittenConfig written;
  FileChoice files;
  std::string fingerprint;                    // of the folder, before anything was read
  std::shared_ptr<const TempFolder> brought;  // holds the folder, where a load request brought the files
  bool overridden = false;                    // the configuration is not the repository's
};

// A plan that is captured: for one batch size, in the memory of one lane.
struct PlanKey {
  std::int32_t bucket = 0;
  LaneIndex lane;
  bool operator==(const PlanKey&) const = default;
};

// A loaded version with what is left to do for it. Owned by the loader thread; moves.
struct LoadedVersion {
  std::shared_ptr<const Instance> instance;
  sched::Profile profile;
  std::vector<Slice> homed;
  std::vector<Slice> to_home;               // in the background, in this order; none where homes are made one by one
  std::vector<PlanKey> captured;            // of an instance that grows: what it is published with
  std::vector<PlanKey> to_capture;          // and what follows, in this order
  std::vector<sched::ProfilePoint> points;  // measured so far
  bool profile_kept = false;                // it came from the cache
  std::shared_ptr<const TempFolder> brought;
  std::unique_ptr<Measurer> measurer;  // of `instance`
  ProfileKey profile_key;
  Duration last_home{0};  // how long the last slice took
};

// How often files that change meanwhile are read anew.
inline constexpr int kLoadAttempts = 3;
// Announced for steps of which nothing is known yet.
inline constexpr Duration kUnknownStep = std::chrono::milliseconds(500);
// Hashing borrows the loader slice for pieces of this size.
inline constexpr Bytes kHashPiece{std::uint64_t{32} << 20};

// Owned by the loader thread, but for stop().
class Loader {
 public:
  // `inspections` are all loaders', and outlive them.
  Loader(Host& host, engine::Engine& engine, Inspections& inspections, const ConfigDefaults& defaults,
         std::filesystem::path cache_dir)
      : host_(host),
        engine_(engine),
        inspections_(inspections),
        defaults_(defaults),
        cache_dir_(cache_dir),
        profiles_(std::move(cache_dir)) {}

  // Loads, warms and measures `version`. `serving`, where given, is what serves it now: returned as an empty `instance`
  // if loading anew would give the same. `alone`: nobody serves yet, so measuring disturbs nobody. Error: for the one
  // who asked for the load.
  Result<LoadedVersion> load(const ModelSource& source, std::int64_t version, const Instance* serving, bool alone);

  // Homes the next of version.to_home. Returns it, or nothing where it could not be had (never asked for again).
  std::optional<Slice> home_next(LoadedVersion& version);

  // Captures the next of version.to_capture, which serves, homes it where the version was homed first, and says so to
  // the host. What cannot be is logged, and nothing that depends on it is tried.
  void capture_next(LoadedVersion& version);
  // Nothing follows any more: what waits for it is told the cause.
  void end_growth(LoadedVersion& version, const std::string& cause);

  void keep_profile(const LoadedVersion& version, const sched::Profile& profile) const;

  // Any thread: load() ends at its next step with kUnavailable.
  void stop() { stopped_.store(true); }
  bool stopped() const { return stopped_.load(); }

 private:
  // What was found of a version, before it is loaded.
  struct Files : Inspection {
    bool single = false;  // the batch dimension that the file seems to have turned out to be none
  };
  Result<LoadedVersion> load_once(const ModelSource& source, const WrittenConfig& written, std::int64_t version,
                                  const Instance* serving, bool alone, Files& files);
  Result<LoadedVersion> load_with(const ModelSource& source, std::int64_t version, const Instance* serving, bool alone,
                                  Files& files);
  Status inspect(const ModelSource& source, std::int64_t version, Files& files);
  Result<std::string> hash(const Files& files);
  Status make_ready(const Files& files, bool guessed, const std::optional<Slice>& uncaptured_in, Instance& instance,
                    LoadedVersion& loaded);
  Status make_ready_uncaptured(const Files& files, bool guessed, const Error& why, Instance& instance,
                               LoadedVersion& loaded);
  Status load_engine(const Files& files, const std::optional<Slice>& uncaptured_in, Instance& instance, Duration& took);
  static void plan_growth(const Instance& instance, bool guessed, LoadedVersion& loaded);
  Status capture_beside(LoadedVersion& version, const PlanKey& plan, bool again);
  Status home_captured(const LoadedVersion& version, const PlanKey& plan);
  Status home_first(const Instance& instance, LoadedVersion& loaded);
  Status home(const LoadedVersion& loaded, const Instance& instance, const Slice& slice, Duration& took);
  Status prepare(engine::LoadedModel& model, std::int32_t bucket, LaneIndex lane, const Slice& slice, Duration& took);
  Status warm_and_measure(const ModelSource& source, bool alone, LoadedVersion& loaded);
  Status step(Duration expected, const std::function<Status()>& work);
  Status step_in(const Slice& slice, Duration expected, const std::function<Status()>& work);

  Host& host_;
  engine::Engine& engine_;
  Inspections& inspections_;
  const ConfigDefaults& defaults_;
  const std::filesystem::path cache_dir_;
  const ProfileCache profiles_;
  std::atomic<bool> stopped_{false};
};

}  // namespace tessera::model
