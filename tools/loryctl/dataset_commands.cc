#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "lory/v1/dataset.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/state_color.h"
#include "tools/loryctl/table.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::v1::Dataset;
using ::lory::v1::DatasetService;
using DatasetStub = DatasetService::Stub;

constexpr char kFind[] = "loryctl dataset list";

absl::Status ListDatasets(Session& session) {
  lory::v1::ListDatasetsRequest request;
  request.set_page_size(kPageSize);
  lory::v1::ListDatasetsResponse all;
  do {
    LORY_ASSIGN_OR_RETURN(auto page,
                          session.Call(&DatasetStub::ListDatasets, request));
    all.mutable_datasets()->MergeFrom(page.datasets());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (session.PrintList("datasets", all.datasets())) return absl::OkStatus();
  if (all.datasets().empty()) {
    session.err() << "no datasets; lory-corpus makes one, loryctl dataset "
                     "register NAME MANIFEST adds it\n";
    return absl::OkStatus();
  }
  Table table({"NAME", "STATE", ">TOKENS", ">SEQUENCES", ">LENGTH",
               ">VOCABULARY", "ORDER", "DOMAINS"});
  for (const Dataset& dataset : all.datasets()) {
    table.Add({ShortName(dataset.name()),
               {Dataset::State_Name(dataset.state()), ColorOf(dataset.state())},
               Grouped(dataset.token_count()),
               Grouped(dataset.sequence_count()),
               absl::StrCat(dataset.sequence_length()),
               Grouped(dataset.vocabulary_size()),
               dataset.order(),
               absl::StrJoin(dataset.domains(), ", ")});
  }
  table.Print(session.environment());
  return absl::OkStatus();
}

void PrintDataset(Session& session, const Dataset& dataset) {
  Environment& environment = session.environment();
  const auto line = [&](absl::string_view label, absl::string_view text) {
    std::string padded(label);
    padded.resize(12, ' ');
    session.out() << "  " << Colored(environment, Color::kFaint, padded) << text
                  << "\n";
  };
  session.out() << ShortName(dataset.name()) << "  "
                << Colored(environment, ColorOf(dataset.state()),
                           Dataset::State_Name(dataset.state()))
                << "  " << dataset.reason() << "\n";
  line("manifest", dataset.manifest_path());
  line("identity", absl::StrCat("sha256 ", dataset.manifest_sha256()));
  line("tokens", Grouped(dataset.token_count()));
  line("sequences", absl::StrCat(Grouped(dataset.sequence_count()), " of ",
                                 dataset.sequence_length(), " tokens"));
  line("documents", Grouped(dataset.document_count()));
  line("vocabulary",
       absl::StrCat(Grouped(dataset.vocabulary_size()), ", tokenizer sha256 ",
                    dataset.tokenizer_sha256()));
  line("order", dataset.order());
  line("domains", absl::StrJoin(dataset.domains(), ", "));
}

absl::Status RegisterDataset(Session& session, const std::string& id,
                             const std::string& path) {
  lory::v1::CreateDatasetRequest request;
  request.set_dataset_id(ShortName(id));
  // The coordinator has another working directory.
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  request.set_manifest_path(error ? path
                                  : absolute.lexically_normal().string());
  request.set_request_id(RandomUuid());
  auto dataset = session.Call(&DatasetStub::CreateDataset, request);
  if (!dataset.ok()) {
    absl::Status status = WithHint(
        dataset.status(), absl::StatusCode::kNotFound,
        "name the manifest.json that lory-corpus wrote, by its path on the "
        "coordinator's host");
    status = WithHint(status, absl::StatusCode::kPermissionDenied,
                      "start lory-coordinator and lory-worker with --data-root "
                      "of a folder above it");
    return WithHint(status, absl::StatusCode::kAlreadyExists,
                    absl::StrCat("choose another name, or loryctl dataset "
                                 "delete ",
                                 id));
  }
  return session.Print(*dataset, dataset->name(), [&] {
    session.out() << dataset->name() << "\n";
    session.err() << ShortName(dataset->name()) << ": "
                  << Grouped(dataset->token_count()) << " tokens in "
                  << Grouped(dataset->sequence_count()) << " sequences of "
                  << dataset->sequence_length() << "\n";
  });
}

absl::Status GetDataset(Session& session, const std::string& name) {
  lory::v1::GetDatasetRequest request;
  request.set_name(FullName("datasets", name));
  auto dataset = session.Call(&DatasetStub::GetDataset, request);
  if (!dataset.ok()) {
    return WithHint(dataset.status(), absl::StatusCode::kNotFound, kFind);
  }
  return session.Print(*dataset, dataset->name(),
                       [&] { PrintDataset(session, *dataset); });
}

absl::Status DeleteDataset(Session& session, const std::string& name) {
  lory::v1::DeleteDatasetRequest request;
  request.set_name(FullName("datasets", name));
  request.set_request_id(RandomUuid());
  auto dataset = session.Call(&DatasetStub::DeleteDataset, request);
  if (!dataset.ok()) {
    return WithHint(
        WithHint(dataset.status(), absl::StatusCode::kNotFound, kFind),
        absl::StatusCode::kFailedPrecondition,
        "cancel the jobs that use it first: loryctl job list");
  }
  session.out() << request.name() << "\n";
  session.err() << ShortName(name) << " is forgotten; its files stay\n";
  return absl::OkStatus();
}

}  // namespace

void AddDatasetCommands(CommandLine& line) {
  CLI::App& noun = line.AddNoun("dataset", "datasets",
                                "What jobs train on: register and look");
  auto name = std::make_shared<std::string>();
  auto path = std::make_shared<std::string>();
  CLI::App& create = line.AddVerb(
      noun, "register", "Register a dataset by its manifest",
      {"loryctl dataset register demo /data/demo/manifest.json"},
      [=](Session& session) { return RegisterDataset(session, *name, *path); });
  create.add_option("name", *name, "name to give it")->required();
  create.add_option("manifest", *path, "manifest.json that lory-corpus wrote")
      ->required();
  line.AddVerb(noun, "list", "List datasets by name", {"loryctl dataset list"},
               ListDatasets);
  const auto add = [&](const char* verb, const char* description,
                       absl::Status (*action)(Session&, const std::string&)) {
    line.AddVerb(noun, verb, description,
                 {absl::StrCat("loryctl dataset ", verb, " demo")},
                 [=](Session& session) { return action(session, *name); })
        .add_option("name", *name, "name of the dataset")
        ->required();
  };
  add("get", "Show a dataset", GetDataset);
  add("delete", "Forget a dataset; its files stay", DeleteDataset);
}

}  // namespace lory::ctl
