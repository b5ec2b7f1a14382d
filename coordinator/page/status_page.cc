#include "coordinator/page/status_page.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/page/job_section.h"

namespace lory::coordinator::page {
namespace {

constexpr absl::string_view kHead = R"(<!doctype html>
<html lang=en><meta charset=utf-8><title>Lory</title>
<meta http-equiv=refresh content=2>
<meta name=viewport content="width=device-width,initial-scale=1">
<style>
:root{color-scheme:light dark;--ink:#1c2330;--quiet:#687080;--line:#dfe3ea;
--paper:#fff;--ground:#f4f6f9;--accent:#2463c9;--warm:#d9822b}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ef;--quiet:#98a1b2;
--line:#333b49;--paper:#1b212b;--ground:#12161d;--accent:#6ea2ff}}
body{font:14px/1.45 system-ui,sans-serif;color:var(--ink);
background:var(--ground);margin:0 auto;max-width:1080px;padding:1.5rem}
section{background:var(--paper);border:1px solid var(--line);border-radius:8px;
padding:1rem 1.25rem;margin:0 0 1rem}
h1{font-size:1.3rem;margin:0 0 1rem}h2{font-size:1.05rem;margin:1.5rem 0 .5rem}
h3{font-size:1rem;margin:0}h4{font-size:.85rem;margin:1rem 0 .3rem}
p{margin:.3rem 0}.quiet{color:var(--quiet)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th{font-weight:500;color:var(--quiet);text-align:left}
td,th{padding:.15rem .7rem .15rem 0;white-space:nowrap}.n{text-align:right}
dl{display:flex;flex-wrap:wrap;gap:.3rem 1.6rem;margin:.5rem 0}
dt{color:var(--quiet);font-size:.8rem}dd{margin:0;font-size:1.05rem;
font-variant-numeric:tabular-nums}
.state{font-size:.75rem;border-radius:4px;padding:.1rem .45rem;
background:var(--line)}
.running,.succeeded,.ready{background:#1f8a4c;color:#fff}
.failed,.lost{background:#c43a31;color:#fff}
.recovering,.starting,.pausing,.cancelling,.draining{background:var(--warm);
color:#fff}
.bar{display:inline-block;width:16rem;height:.55rem;border-radius:4px;
background:var(--line);margin-right:.6rem}
.bar span{display:block;height:100%;border-radius:4px;background:var(--accent)}
.spark{color:var(--quiet);font-variant-numeric:tabular-nums}
svg{vertical-align:middle}polyline{fill:none;stroke:var(--accent);
stroke-width:1.5}
.heat{text-align:center;padding:.15rem .5rem;background:color-mix(in srgb,
var(--accent) var(--share),transparent)}
.experts td,.experts th{border:1px solid var(--paper)}
.stack{display:flex;height:1.4rem;border-radius:4px;overflow:hidden}
.stack span{overflow:hidden;padding:0 .4rem;color:#fff;font-size:.75rem;
line-height:1.4rem;white-space:nowrap}
.data{background:#8e6bbf}.forward{background:#2463c9}.backward{background:
#1a478f}.reduce{background:#d9822b}.update{background:#1f8a4c}
.checkpoint{background:#c43a31}
</style>)";

std::string RenderWorkers(const StatusPageData& data) {
  if (data.workers.empty()) {
    return "<section><p>No worker has come yet. On a host that should train: "
           "<code>lory-worker --coordinator HOST:PORT</code></p></section>";
  }
  std::string out =
      "<section><table><tr><th>worker<th>state<th>device<th class=n>slots"
      "<th>trainers<th>why";
  for (const auto& worker : data.workers) {
    const std::string state = lory::v1::Worker::State_Name(worker.state());
    std::string trainers;
    for (const auto& trainer : worker.trainers()) {
      absl::StrAppend(&trainers, trainers.empty() ? "" : "<br>", "slot ",
                      trainer.slot(), ": ", Escape(trainer.job()), " ",
                      absl::AsciiStrToLower(lory::v1::TrainerStatus::Phase_Name(
                          trainer.phase())));
    }
    absl::StrAppend(&out, "<tr><td>", Escape(worker.name()),
                    "<td><span class=\"state ", absl::AsciiStrToLower(state),
                    "\">", state, "</span><td>",
                    Escape(worker.description().device_kind()), ", ",
                    worker.description().core_count(), " cores<td class=n>",
                    worker.description().slot_count(), "<td>", trainers,
                    "<td class=quiet>", Escape(worker.reason()));
  }
  return absl::StrCat(out, "</table></section>");
}

}  // namespace

std::string RenderStatusPage(const StatusPageData& data) {
  std::string out = absl::StrCat(
      kHead, "<h1>Lory <span class=quiet>",
      absl::FormatTime("%Y-%m-%d %H:%M:%S", data.now, absl::UTCTimeZone()),
      " UTC</span></h1><h2>jobs</h2>");
  if (data.jobs.empty()) {
    absl::StrAppend(&out,
                    "<section><p>No job yet. <code>loryctl job submit -f "
                    "job.yaml</code></p></section>");
  }
  for (const auto& job : data.jobs) absl::StrAppend(&out, RenderJob(job, data));
  absl::StrAppend(&out, "<h2>workers</h2>", RenderWorkers(data));
  return out;
}

}  // namespace lory::coordinator::page
