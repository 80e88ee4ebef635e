# Deploying to one's own project; docs/deploy.md leads through it.
ENV ?= dev
PROJECT ?=
TERRAFORM ?= terraform
_DEPLOY = TERRAFORM='$(TERRAFORM)' $(BIN)/python -m infra.tools.deploy
_WHERE = $(ENV) --project='$(PROJECT)' $(if $(YES),--yes)

.PHONY: deploy plan destroy archive image cost coldstart smoke

deploy: $(VENV)/runtime demo/node_modules/.ready ## Into your own project: make deploy ENV=dev PROJECT=your-project
	@$(_DEPLOY) apply $(_WHERE)

plan: $(VENV)/runtime ## What a deploy would change
	@$(_DEPLOY) plan $(_WHERE)

destroy: $(VENV)/runtime ## Out of your project again; says what it leaves
	@$(_DEPLOY) destroy $(_WHERE)

smoke: $(VENV)/runtime ## Two guests meet: make smoke URL=http://localhost:8080/api ORIGIN=http://localhost:8080
	@$(BIN)/python -m infra.tools.smoke '$(URL)' --origin '$(ORIGIN)'

archive: $(VENV)/runtime ## The functions' archive, build/functions-<hash>.zip
	@$(BIN)/python -m infra.tools.bundle functions

image: $(VENV)/runtime ## The relay's image on this machine, with docker
	@docker build --tag vchat-relay "$$($(BIN)/python -m infra.tools.bundle relay | tail -1)"

cost: $(VENV)/runtime ## What a month costs: make cost ROOMS=10 PEOPLE=8 HOURS=90 HZ=20
	@$(BIN)/python -m infra.tools.cost --rooms $(or $(ROOMS),10) --people $(or $(PEOPLE),8) --hours $(or $(HOURS),90) --hz $(or $(HZ),20)

coldstart: $(VENV)/runtime ## What a cold start of the relay is made of
	@$(BIN)/python -m infra.tools.coldstart
